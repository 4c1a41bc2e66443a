// Attention over keys and values.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include "primitives/attention.h"
#include "primitives/cached_attention.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tensorlogic {
namespace {

using Parts = std::tuple<mx::array, mx::array, mx::array>;

PackedHeads packed(const Parts& parts) { return {std::get<0>(parts), std::get<1>(parts), std::get<2>(parts)}; }

}  // namespace

void bind_attention(nanobind::module_& m) {
  m.def("attention",
        [](const mx::array& q, const mx::array& k, const mx::array& v, float scale, bool causal,
           std::optional<int> window, std::optional<mx::array> mask) {
          return attention(q, k, v, {scale, causal, window, std::move(mask)});
        },
        "q"_a, "k"_a, "v"_a, nb::kw_only(), "scale"_a, "causal"_a = false, "window"_a = nb::none(),
        "mask"_a = nb::none());
  m.def("attention_packed",
        [](const mx::array& q, const Parts& keys, const Parts& values, int bits, int group_size, float scale,
           bool causal, std::optional<int> window, std::optional<mx::array> mask) {
          return attention_packed(q, packed(keys), packed(values), bits, group_size,
                                  {scale, causal, window, std::move(mask)});
        },
        "q"_a, "keys"_a, "values"_a, nb::kw_only(), "bits"_a = 8, "group_size"_a, "scale"_a, "causal"_a = false,
        "window"_a = nb::none(), "mask"_a = nb::none());
  m.def("cached_attention",
        [](const mx::array& qkv, const mx::array& keys, const mx::array& values, int heads, int kv_heads, int offset,
           float scale, std::optional<int> window, int rope_dims, std::optional<float> rope_base, float rope_scale,
           bool traditional, std::optional<mx::array> freqs, std::optional<mx::array> q_norm,
           std::optional<mx::array> k_norm, float eps) {
          auto made = cached_attention(qkv, keys, values,
                                       {heads, kv_heads, offset, scale, window, rope_dims, rope_base, rope_scale,
                                        traditional, std::move(freqs), std::move(q_norm), std::move(k_norm), eps});
          return Parts{made[0], made[1], made[2]};
        },
        "qkv"_a, "keys"_a, "values"_a, nb::kw_only(), "heads"_a, "kv_heads"_a, "offset"_a, "scale"_a,
        "window"_a = nb::none(), "rope_dims"_a, "rope_base"_a = nb::none(), "rope_scale"_a = 1.0f,
        "traditional"_a = false, "freqs"_a = nb::none(), "q_norm"_a = nb::none(), "k_norm"_a = nb::none(),
        "eps"_a = 1e-6f);
}

}  // namespace tensorlogic
