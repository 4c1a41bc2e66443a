#include "core/blas.h"

#include <cblas.h>

#include <string>

namespace tensorlogic {
namespace {

int narrow(int64_t n) { return static_cast<int>(n); }

// Once, before the first product.
bool one_thread() {
  scipy_openblas_set_num_threads(1);
  return true;
}

}  // namespace

void sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
           const float* b, int64_t ldb, bool accumulate, float* c, int64_t ldc) {
  static const bool ready = one_thread();
  (void)ready;
  scipy_cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                    narrow(m), narrow(n), narrow(k), 1.0f, a, narrow(lda), b, narrow(ldb), accumulate ? 1.0f : 0.0f, c,
                    narrow(ldc));
}

const char* blas_name() {
  static const std::string name = [] {
    std::string config = scipy_openblas_get_config();
    // "OpenBLAS 0.3.34.481.3 DYNAMIC_ARCH ..."
    auto end = config.find(' ', config.find(' ') + 1);
    return config.substr(0, end) + " " + scipy_openblas_get_corename();
  }();
  return name.c_str();
}

}  // namespace tensorlogic
