// Products with packed weights, on all threads of the pool.
#pragma once

#include <span>

#include "core/isa.h"

namespace tensorlogic {

// y[m, n] = x[m, k] @ [w1; w2; ...].T, the products side by side, for rows of `k` floats, `x_stride` and `y_stride` apart;
// the matrices have one width. How exactly x is kept depends on the instruction set: float16 on avx512vnni alone, int8
// for more than kDecodeRows rows, too; otherwise it is as float32. The order of sums depends on sizes and the instruction
// set, not on the threads.
void packed_products(const float* x, int64_t x_stride, int64_t m, std::span<const PackedMatrix> matrices,
                     Activations kept, float* y, int64_t y_stride);

}  // namespace tensorlogic
