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

// Rows of the left side of a packed matmul, in the order in which the inner loop wants them. Made by `prepare`.
struct PreparedRows {
  int count = 0;           // 1 to kDecodeRows
  float* x = nullptr;      // `prepared_width` floats for each row
  float* sums = nullptr;   // for each row, the sum of each group, padded to 16 groups
  int8_t* codes = nullptr; // under int8: `prepared_width` codes for each row
  float* steps = nullptr;  // under int8: the step of each block of 32 codes, padded to 16 blocks
  bool int8 = false;
};

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

  // y = x @ w.T for w [n, k], and y = x @ w for w [k, n].
  void (*dots)(const FewRows& p);
  void (*combine)(const FewRows& p);
  // `n` items of type `e`, `stride` items apart, as floats.
  void (*gather)(const void* from, Element e, int64_t stride, float* to, int64_t n);

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
