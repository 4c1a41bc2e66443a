// The inner loops, a table for each instruction set, and the choice among them.
//
// Takes: plain pointers to memory of the sizes that each entry states. Promises: an entry reads and writes nothing else,
// uses one thread and throws nothing. The table in use is the best that the processor runs; TENSORLOGIC_ISA names
// another (portable, avx2, avx512, avx512vnni, neon), and `use` chooses one when run, for the tests.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/element.h"

namespace tensorlogic {

// Rows of the left side of a packed matmul as the inner loop wants them: made by `prepare`, which uses `x`, or `codes`
// and `steps`.
struct PreparedRows {
  int count = 0;            // 1 to kDecodeRows
  bool int8 = false;        // whether an activation becomes one byte
  float* x = nullptr;       // `prepared_width` floats for each row
  int8_t* codes = nullptr;  // kDigits times `prepared_width` bytes for each row
  float* steps = nullptr;   // what 1 in a block of 32 codes means, padded to 16 blocks for each row
  float* sums = nullptr;    // the sum of each group's activations, padded to 16 groups for each row
};

// The most bytes that one activation becomes.
inline constexpr int kDigits = 3;

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
  // The sum of the squares of `n` floats.
  float (*sum_of_squares)(const float* x, int64_t n);
  // to[i] = x[i] * factor * weight[i]; `weight` may be null.
  void (*scale)(const float* x, float factor, const float* weight, float* to, int64_t n);
  // to[i] = a[i] + b[i]
  void (*add)(const float* a, const float* b, float* to, int64_t n);
  // to[i] = activation(gate[i]) * up[i]
  void (*silu_times)(const float* gate, const float* up, float* to, int64_t n);
  void (*gelu_tanh_times)(const float* gate, const float* up, float* to, int64_t n);
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
