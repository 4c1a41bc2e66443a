// The inner loops, a table for each instruction set, and the choice among them.
//
// Takes: plain pointers to memory of the sizes that each entry states. Promises: an entry reads and writes nothing else,
// uses one thread and throws nothing. The table in use is the best that the processor runs; TENSORLOGIC_ISA names
// another (portable, avx2, avx512, avx512vnni, neon), and `use` chooses one when run, for the tests.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/attention_loops.h"
#include "core/element.h"

namespace tensorlogic {

// Rows of the left side of a packed matmul as the inner loop wants them: made by `prepare`, which uses `x`, or `codes`
// and `steps`.
struct PreparedRows {
  int count = 0;            // 1 to kDecodeRows
  Activations kept = Activations::float32;
  int digits = 0;           // bytes of an activation in `codes`, where `prepare` chooses
  float* x = nullptr;       // `prepared_width` floats for each row
  int8_t* codes = nullptr;  // kDigits times `prepared_width` bytes for each row
  float* steps = nullptr;   // what 1 in a block of 32 codes means, padded to 16 blocks for each row
  float* sums = nullptr;    // the sum of each group's activations, padded to 16 groups for each row
};

// The most bytes that one activation becomes.
inline constexpr int kDigits = 3;
// Some rows of floats and a dense matrix, of whose rows both are read in order; k > 0.
struct FewRows {
  const float* x;  // [m, k]
  int64_t x_stride;
  int m;
  const void* w;  // its rows are `w_stride` items apart
  Element element;
  int64_t w_stride, k, n;
  float* y;  // [m, n]
  int64_t y_stride;
  bool accumulate;  // adds to y
};

// Many rows of the left side as whole multiples of a step: one byte for each activation, or three.
struct DigitRows {
  int64_t count;
  int digits;            // 1 or 3, the highest first
  bool to_16_bits;       // whether the lowest of three may be rounded away
  int8_t* codes;         // digit d of item k of row r at d * plane + r * stride + k
  int64_t stride, plane;
  float* steps;  // of each block of 32 of each row, without gaps
  float* sums;   // of each half of a block of each row, without gaps
  uint8_t* lowest;  // as `steps`: whether the lowest digit is anywhere not 0
};

// More rows than this are multiplied as blocks of expanded weights.
inline constexpr int kDecodeRows = 8;

struct Kernels {
  const char* name;

  // `n` floats of type `e`, and back (to the nearest, ties to even).
  void (*widen)(const void* from, Element e, float* to, int64_t n);
  void (*narrow)(const float* from, void* to, Element e, int64_t n);

  // `rows.count` rows of `w.width` floats at `x`, `stride` apart.
  void (*prepare)(const float* x, int64_t stride, const PackedMatrix& w, PreparedRows& rows);
  // y[m * y_stride + n] = the product of row m and row n of `w`, for n from `first` to `last`.
  void (*multiply)(const PreparedRows& rows, const PackedMatrix& w, int64_t first, int64_t last, float* y,
                   int64_t y_stride);
  // Rows `first` to `last` of `w` as floats, `w.width` for each.
  void (*expand)(const PackedMatrix& w, int64_t first, int64_t last, float* to);

  // The sum of `n` floats, read as fast as memory gives them.
  float (*sum)(const float* x, int64_t n);
  // y = x @ w.T for w [n, k], and y = x @ w for w [k, n].
  void (*dense_dots)(const FewRows& p);
  void (*dense_combine)(const FewRows& p);
  // `n` items of type `e`, `stride` items apart, as floats.
  void (*gather)(const void* from, Element e, int64_t stride, float* to, int64_t n);
  // Many rows by integers, where the set has them; else `tile` is 0 and the rest null. A tile is of `tile` rows of w: its
  // codes take `tile` bytes for each of the width's items, rounded up to 64, its factors 2 * `tile` floats for each 32,
  // or each group of 16.
  int64_t tile;
  void (*quantize_rows)(const float* x, int64_t x_stride, int64_t first, int64_t last, int64_t width, DigitRows& to);
  void (*tile_factors)(const PackedMatrix& w, int64_t first, int64_t last, float* factors);
  void (*fill_codes)(const PackedMatrix& w, int64_t first, int64_t last, uint8_t* codes);
  // y[r, n] = the product of row r of x and row n of the tile, for n below `columns`.
  void (*multiply_tile)(const DigitRows& x, const PackedMatrix& w, int64_t columns, const uint8_t* codes,
                        const float* factors, float* y, int64_t y_stride);

  // The sum of the squares of `n` floats.
  float (*sum_of_squares)(const float* x, int64_t n);
  // to[i] = x[i] * factor * weight[i]; `weight` may be null.
  void (*scale)(const float* x, float factor, const float* weight, float* to, int64_t n);
  // to[i] = a[i] + b[i]
  void (*add)(const float* a, const float* b, float* to, int64_t n);
  // to[i] = activation(gate[i]) * up[i]
  void (*silu_times)(const float* gate, const float* up, float* to, int64_t n);
  void (*gelu_tanh_times)(const float* gate, const float* up, float* to, int64_t n);

  // In the next entries, `to` may be `x`.
  // to[i] = activation(x[i])
  void (*silu)(const float* x, float* to, int64_t n);
  void (*gelu)(const float* x, float* to, int64_t n);
  void (*gelu_tanh)(const float* x, float* to, int64_t n);
  // to[i] = (x[i] - mean(x)) / sqrt(variance(x) + eps) * weight[i] + bias[i]; `weight` and `bias` may be null.
  void (*layer_norm)(const float* x, float eps, const float* weight, const float* bias, float* to, int64_t n);
  // The largest of `n` floats; NaN is passed over, and nothing gives -infinity.
  float (*largest)(const float* x, int64_t n);
  // to[i] = e^(x[i] - top); gives their sum.
  float (*exponentials)(const float* x, float top, float* to, int64_t n);
  // Of position * turns[i] quarters of a turn.
  void (*cosines_and_sines)(const double* turns, double position, float* cosines, float* sines, int64_t n);
  // Turns the pairs (x[i], x[half + i]), or (x[2 i], x[2 i + 1]), by the angle i.
  void (*rotate_halves)(const float* x, const float* cosines, const float* sines, float* to, int64_t half);
  void (*rotate_pairs)(const float* x, const float* cosines, const float* sines, float* to, int64_t half);

  // Attention. Rows of queries, keys and values have a multiple of 16 items here.
  // to[r * to_stride + j] = the product of row r of `q` and row j of `k`, for `count` rows of `k`.
  void (*dots)(const float* q, int64_t q_stride, int64_t rows, const FloatRows& k, int64_t count, int64_t width,
               float* to, int64_t to_stride);
  // x[i] = e^(x[i] - largest), where the largest of the `n` is at least the least finite float; gives their sum. There
  // is room for `n` rounded up to a multiple of 16.
  float (*softmax_weights)(float* x, int64_t n, float* largest);
  // to[r] += the sum over j of p[r * p_stride + j] * row j of `v`, for `count` rows of `v`.
  void (*add_weighted)(const float* p, int64_t p_stride, int64_t rows, const FloatRows& v, int64_t count, int64_t width,
                       float* to, int64_t to_stride);
  // Takes a tile of so many queries over a block of keys.
  int64_t query_lanes;
  void (*attend_block)(const KeyBlock& block, const QueryTile& tile);
};

// The width of a prepared row: `width` rounded up to whole blocks of 128.
inline int64_t prepared_width(int64_t width) { return (width + 127) / 128 * 128; }
inline int64_t padded_to_16(int64_t n) { return (n + 15) / 16 * 16; }

const Kernels& kernels();
// The sets that this processor runs, best first; "portable" is the last.
std::vector<std::string_view> instruction_sets();
// False for a set that is not among them.
bool use(std::string_view name);

namespace isa_tables {
extern const Kernels portable;
#if defined(__x86_64__)
extern const Kernels avx2, avx512, avx512vnni;
#elif defined(__aarch64__)
extern const Kernels neon;
#endif
}  // namespace isa_tables

}  // namespace tensorlogic
