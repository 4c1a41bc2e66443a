// The machine and how it is used: instruction sets, threads, the BLAS.
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "core/bandwidth.h"
#include "core/blas.h"
#include "core/isa.h"
#include "core/pool.h"
#include "core/threads.h"
#include "primitives/kernel.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tensorlogic {
namespace {

constexpr double kGiga = 1e9;

nb::dict limits(const std::string& root) {
  ThreadLimits found = thread_limits(root);
  nb::dict result;
  result["processors"] = found.processors;
  result["cores"] = found.cores;
  result["granted"] = found.granted;
  result["asked"] = found.asked;
  result["threads"] = found.threads();
  return result;
}

void require_size(int64_t megabytes, int threads) {
  constexpr int64_t kMostMegabytes = 1 << 20;
  require(megabytes >= 1 && megabytes <= kMostMegabytes, "tensorlogic_cpu.read_bandwidth",
          [&] { return "megabytes is a number from 1 to " + std::to_string(kMostMegabytes); });
  require(threads >= 0, "tensorlogic_cpu.read_bandwidth", "threads is not negative");
}

}  // namespace

void bind_machine(nanobind::module_& m) {
  m.def("instruction_sets", &instruction_sets);
  m.def("instruction_set", [] { return std::string_view(kernels().name); });
  m.def(
      "use_instruction_set",
      [](const std::string& name) {
        require(use(name), "tensorlogic_cpu", [&] { return "this processor has no instruction set \"" + name + "\""; });
      },
      "name"_a);
  m.def("threads", [] { return pool().threads(); });
  m.def(
      "set_threads",
      [](int n) {
        require(n >= 1 && n <= kMostThreads, "tensorlogic_cpu.set_threads",
                [&] { return "count is a number from 1 to " + std::to_string(kMostThreads); });
        nb::gil_scoped_release others_run;
        pool().set_threads(n);
      },
      "count"_a);
  m.def("thread_limits", &limits, "root"_a = "");
  m.def("blas", [] { return std::string_view(blas_name()); });
  m.def("read_bandwidth", [](int64_t megabytes, int threads) {
    require_size(megabytes, threads);
    nb::gil_scoped_release others_run;
    return read_bandwidth(megabytes, threads) / kGiga;
  }, "megabytes"_a, "threads"_a = 0);
  m.def("peak_gflops", [](int threads) {
    require(threads >= 0, "tensorlogic_cpu.peak_gflops", "threads is not negative");
    nb::gil_scoped_release others_run;
    return peak_flops(threads) / kGiga;
  }, "threads"_a = 0);
}

}  // namespace tensorlogic
