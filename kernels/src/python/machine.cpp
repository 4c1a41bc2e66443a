// The machine and how it is used: instruction sets, threads, the BLAS.
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "core/blas.h"
#include "core/isa.h"
#include "core/pool.h"
#include "primitives/kernel.h"
#include "python/bindings.h"

using namespace nanobind::literals;

namespace tensorlogic {

void bind_machine(nanobind::module_& m) {
  m.def("instruction_sets", &instruction_sets);
  m.def("instruction_set", [] { return std::string_view(kernels().name); });
  m.def("use_instruction_set", [](const std::string& name) {
    require(use(name), "tensorlogic_cpu", "this processor has no instruction set \"" + name + "\"");
  }, "name"_a);
  m.def("threads", [] { return pool().threads(); });
  m.def("set_threads", [](int n) { pool().set_threads(n); }, "count"_a);
  m.def("blas", [] { return std::string_view(blas_name()); });
}

}  // namespace tensorlogic
