// Packed weights and chains of products with them.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "primitives/chain.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tensorlogic {
namespace {

Gate gate_of(const std::optional<std::string>& name) {
  if (!name) return Gate::none;
  require(*name == "silu" || *name == "gelu_tanh", "tensorlogic_cpu.Stage",
          [&] { return "there is no gate \"" + *name + "\""; });
  return *name == "silu" ? Gate::silu : Gate::gelu_tanh;
}

Activations activations_of(const std::string& name) {
  if (name == "float32") return Activations::float32;
  if (name == "float16") return Activations::float16;
  require(name == "int8", "tensorlogic_cpu.Stage", [&] { return "there are no activations \"" + name + "\""; });
  return Activations::int8;
}

}  // namespace

void bind_packed(nanobind::module_& m) {
  nb::class_<Matrix>(m, "Matrix")
      .def(nb::init<mx::array, mx::array, std::optional<mx::array>, int, int, const std::string&>(), "weight"_a,
           "scales"_a, "biases"_a.none(), "bits"_a, "group_size"_a, "mode"_a)
      .def_static("dense", [](mx::array weight) { return Matrix(std::move(weight)); }, "weight"_a)
      .def_static(
          "lies", [](const mx::array& weight) { return weight.is_available() && weight.flags().row_contiguous; },
          "weight"_a);
  nb::class_<StageArrays>(m, "Stage")
      .def("__init__",
           [](StageArrays* stage, std::vector<Matrix> matrices, std::optional<mx::array> norm, std::optional<float> eps,
              const std::optional<std::string>& gate, std::optional<mx::array> norm_after,
              std::optional<float> eps_after, std::optional<int> add_value, std::optional<int> addend,
              const std::string& activations) {
             require(!add_value || !addend, "tensorlogic_cpu.Stage", "a stage adds one thing");
             using Add = StageArrays::Add;
             Add add = add_value ? Add::value : addend ? Add::addend : Add::none;
             new (stage) StageArrays{std::move(matrices), eps, eps_after, std::move(norm), std::move(norm_after),
                                     gate_of(gate), add, add_value.value_or(addend.value_or(0)), activations_of(activations)};
           },
           "matrices"_a, nb::kw_only(), "norm"_a = nb::none(), "eps"_a = nb::none(), "gate"_a = nb::none(),
           "norm_after"_a = nb::none(), "eps_after"_a = nb::none(), "add_value"_a = nb::none(), "addend"_a = nb::none(),
           "activations"_a = "float32");
  nb::class_<Chain>(m, "Chain")
      .def(nb::init<const std::vector<StageArrays>&, std::vector<int>>(), "stages"_a, "results"_a)
      .def(
          "watch",
          [](Chain& chain, const std::vector<const mx::array*>& objects) {
            for (const mx::array* object : objects) chain.watch(object);
          },
          "objects"_a)
      .def("unchanged", &Chain::unchanged)
      .def("__call__", &Chain::operator(), "x"_a, "addends"_a = std::vector<mx::array>{});
}

}  // namespace tensorlogic
