// Row-wise work: norms.
#pragma once

#include <cstdint>

#include "core/isa.h"
#include "core/pool.h"

namespace tensorlogic {

// Root mean square norm (Zhang and Sennrich 2019): x / sqrt(mean(x^2) + eps) * weight.
struct Norm {
  bool present = false;
  float eps = 0;
  const float* weight = nullptr;  // may be null
};

// What is done to the values that others are multiplied by.
enum class Gate : uint8_t { none, silu, gelu_tanh };

// `rows` rows of `width` floats, normalized; `to` may be `x`.
void norm_rows(const float* x, int64_t rows, int64_t width, const Norm& norm, float* to);

// Items that a thread takes at a time in row-wise work: a few microseconds of it.
inline constexpr int64_t kRowWiseItems = 16 * 1024;

// Calls `f(row)` for every row, on all threads.
template <class F>
void each_row(int64_t rows, int64_t width, F&& f) {
  int64_t grain = kRowWiseItems / (width + 1) + 1;
  pool().parallel(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r);
  });
}

}  // namespace tensorlogic
