// Dense products.
#include "primitives/dense.h"

#include "python/bindings.h"

using namespace nanobind::literals;

namespace tensorlogic {

void bind_dense(nanobind::module_& m) {
  m.def("matmul", &matmul, "a"_a, "b"_a);
  m.def("addmm", &addmm, "c"_a, "a"_a, "b"_a);
}

}  // namespace tensorlogic
