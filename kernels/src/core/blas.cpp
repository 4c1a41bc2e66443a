#include "core/blas.h"

#include <cblas.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

namespace tensorlogic {
namespace {

int narrow(int64_t n) { return static_cast<int>(n); }

// The library gives its memory back when the process ends, while threads may still multiply: before that, products that
// have begun are waited for, and threads that begin others stop for good: nothing waits for them any more.
class Gate {
 public:
  void enter() {
    ++inside_;
    if (!closed_) return;
    --inside_;
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  void leave() { --inside_; }
  void close() {
    closed_ = true;
    while (inside_) std::this_thread::yield();
  }

 private:
  std::atomic<int> inside_{0};
  std::atomic<bool> closed_{false};
};

Gate gate;

// Once, before the first product.
bool one_thread() {
  scipy_openblas_set_num_threads(1);
  std::atexit([] { gate.close(); });
  return true;
}

}  // namespace

void sgemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, const float* a, int64_t lda,
           const float* b, int64_t ldb, bool accumulate, float* c, int64_t ldc) {
  static const bool ready = one_thread();
  (void)ready;
  gate.enter();
  scipy_cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans,
                    narrow(m), narrow(n), narrow(k), 1.0f, a, narrow(lda), b, narrow(ldb), accumulate ? 1.0f : 0.0f, c,
                    narrow(ldc));
  gate.leave();
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
