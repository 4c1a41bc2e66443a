// kernels_tests [STRIDE]: each instruction set that this machine runs, beside the portable one and references in double
// precision. Sweeps over floats take every STRIDE-th of all 2^32; 1 takes all of them.
#include <cstdio>
#include <cstdlib>

#include "check.h"
#include "core/isa.h"
#include "tests.h"

using namespace tensorlogic;
using namespace tensorlogic::tests;

namespace tensorlogic::tests {
int64_t sweep_stride = 4099;
}

// Of the pool, which keeps the memory of the threads that it had.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

int main(int count, char** arguments) {
  if (count > 1) sweep_stride = std::max(1L, std::atol(arguments[1]));
  report_crashes();
  test_blocks();
  test_bpe();
  for (std::string_view set : instruction_sets()) {
    std::printf("%s: ", set.data());
    std::fflush(stdout);
    int64_t before = checks;
    use(set);
    test_vectors(set);
    test_codes(set);
    test_casts(set);
    test_rows(set);
    test_activations(set);
    test_packed(set);
    test_attention(set);
    test_dense(set);
    test_core(set);
    std::printf("%lld checks\n", static_cast<long long>(checks - before));
  }
  if (failures) std::printf("%lld checks failed\n", static_cast<long long>(failures));
  return failures ? 1 : 0;
}
