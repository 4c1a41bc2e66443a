// Products with packed weights, on all threads of the pool.
#pragma once

#include "core/isa.h"

namespace tensorlogic {

// y[m, n] = x[m, k] @ w.T for rows of `w.width` floats, `x_stride` and `y_stride` apart. `int8`: rows of x are rounded
// to bytes in blocks of 32 where there are at most kDecodeRows of them (largest relative error of an item 1/254 of its
// block's largest). Sums are in float32; their order depends on sizes and the instruction set, not on the threads.
void packed_matmul(const float* x, int64_t x_stride, int64_t m, const PackedMatrix& w, bool int8, float* y,
                   int64_t y_stride);

}  // namespace tensorlogic
