// In place of core/blas.cpp: the product by its definition, in double precision.
#include "core/blas.h"

namespace tensorlogic {

void sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
           const float* b, int64_t ldb, bool accumulate, float* c, int64_t ldc) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double total = accumulate ? c[i * ldc + j] : 0;
      for (int64_t l = 0; l < k; ++l) {
        double x = transpose_a ? a[l * lda + i] : a[i * lda + l];
        total += x * (transpose_b ? b[j * ldb + l] : b[l * ldb + j]);
      }
      c[i * ldc + j] = static_cast<float>(total);
    }
  }
}

const char* blas_name() { return "the tests' own"; }

}  // namespace tensorlogic
