// Products with packed weights, on all threads of the pool.
#pragma once

#include "core/isa.h"

namespace tensorlogic {

// y[m, n] = x[m, k] @ w.T for rows of `w.width` floats, `x_stride` and `y_stride` apart. Of more than
// kDecodeRows rows, items are kept less exactly than in float32 only by an instruction set with tiles; up to as many,
// they are rounded to bytes under int8 (an item is off by at most 1/254 of its block's largest), and not under float16.
// The order of sums depends on sizes and the instruction set, not on the threads.
void packed_matmul(const float* x, int64_t x_stride, int64_t m, const PackedMatrix& w, Activations kept, float* y,
                   int64_t y_stride);

}  // namespace tensorlogic
