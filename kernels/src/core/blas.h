// Dense products of float32 by OpenBLAS, which runs in the calling thread: the pool decides about threads, not the BLAS.
#pragma once

#include <cstdint>

namespace tensorlogic {

// c[m, n] = a[m, k] @ b[n, k].T, or a @ b[k, n] where `transpose_b` is not set; `accumulate` adds to c. Rows are `lda`,
// `ldb` and `ldc` floats apart. Sizes fit 32 bits.
void sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
           const float* b, int64_t ldb, bool accumulate, float* c, int64_t ldc);

// What the BLAS is and for which processor it was chosen, such as "OpenBLAS 0.3.34 SkylakeX".
const char* blas_name();

}  // namespace tensorlogic
