// Row-wise operations.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "primitives/rows.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tensorlogic {

void bind_rows(nanobind::module_& m) {
  m.def("rms_norm", &rms_norm, "x"_a, "weight"_a.none(), "eps"_a);
  m.def("layer_norm", &layer_norm, "x"_a, "weight"_a.none(), "bias"_a.none(), "eps"_a);
  m.def("rope", &rope, "x"_a, "dims"_a, nb::kw_only(), "traditional"_a, "base"_a.none(), "scale"_a, "offset"_a,
        "freqs"_a = nb::none());
  m.def("softmax", &softmax, "x"_a);
  m.def("silu", [](const mx::array& x) { return activate(x, Activation::silu); }, "x"_a);
  m.def("gelu", [](const mx::array& x, bool approximate) {
    return activate(x, approximate ? Activation::gelu_tanh : Activation::gelu);
  }, "x"_a, "approximate"_a);
  m.def(
      "gated",
      [](const mx::array& gate, const mx::array& up, const std::string& kind) {
        require(kind == "silu" || kind == "gelu_tanh", "tensorlogic_cpu.gated",
                [&] { return "there is no gate \"" + kind + "\""; });
        return gated(gate, up, kind == "silu" ? Gate::silu : Gate::gelu_tanh);
      },
      "gate"_a, "up"_a, "kind"_a);
  m.def("argmax", &argmax, "x"_a);
  m.def("cast", &cast, "x"_a, "dtype"_a);
}

}  // namespace tensorlogic
