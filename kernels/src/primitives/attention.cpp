#include "primitives/attention.h"

#include <limits>

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace tensorlogic {
namespace {

constexpr const char* kName = "tensorlogic_cpu.attention";
constexpr const char* kPackedName = "tensorlogic_cpu.attention_packed";

// What is not an array.
struct Settings {
  float scale;
  bool causal;
  int window;  // 0: all keys
  int bits;    // of packed keys and values; 0: floats
  int group;
  bool operator==(const Settings&) const = default;
};

Strides4 strides_of(const mx::array& a) {
  Strides4 strides;
  for (size_t i = 0; i < 4; ++i) strides[i] = a.strides()[i];
  return strides;
}

// Rows of codes, scales or biases have no gaps: else they could not be read a word at a time.
Strides4 byte_strides(const mx::array& a) {
  require(a.strides()[3] == 1 || a.shape(3) == 1, kPackedName, "rows of packed keys and values have no gaps");
  Strides4 strides = strides_of(a);
  for (int64_t& s : strides) s *= static_cast<int64_t>(a.itemsize());
  return strides;
}

HeadRows packed_rows(const mx::array& weight, const mx::array& scales, const mx::array& biases, int bits, int group) {
  HeadRows rows;
  rows.width = static_cast<int64_t>(weight.shape(3)) * 32 / bits;
  rows.is_packed = true;
  rows.packed.codes = weight.data<uint8_t>();
  rows.packed.scales = scales.data<char>();
  rows.packed.biases = biases.data<char>();
  rows.packed.packing = Packing::affine;
  rows.packed.scale_type = element_of(scales.dtype());
  rows.packed.bits = bits;
  rows.packed.group = group;
  rows.packed.rows = weight.shape(2);
  rows.packed.width = rows.width;
  rows.code_strides = byte_strides(weight);
  rows.scale_strides = byte_strides(scales);
  rows.bias_strides = byte_strides(biases);
  return rows;
}

// Of a mask of at most four dims, which broadcasts to [B, H, L, S].
AttentionMask mask_of(const mx::array& mask) {
  AttentionMask m;
  m.data = mask.data<char>();
  m.is_bool = mask.dtype() == mx::bool_;
  m.type = m.is_bool ? Element::f32 : element_of(mask.dtype());
  const size_t rank = mask.ndim();
  for (size_t i = 0; i < rank; ++i) {
    m.strides[4 - rank + i] = mask.shape(static_cast<int>(i)) == 1 ? 0 : mask.strides()[i];
  }
  return m;
}

// Memory for [B, H, L, E] in the order of [B, L, H, E]: heads joined to [B, L, H * E] are then no copy.
void allocate_heads_last(mx::array& out) {
  const int64_t heads = out.shape(1), length = out.shape(2), width = out.shape(3);
  mx::array::Flags flags{true, false, false};
  if (heads == 1 || length == 1 || out.size() == 0) {
    out.set_data(mx::allocator::malloc(out.nbytes()));
    return;
  }
  mx::Strides strides{heads * length * width, width, heads * width, 1};
  out.set_data(mx::allocator::malloc(out.nbytes()), out.size(), std::move(strides), flags);
}

class AttentionNode : public Kernel {
 public:
  explicit AttentionNode(const Settings& settings) : settings_(settings) {}

  const char* name() const override { return "TensorLogicAttention"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const AttentionNode*>(&other);
    return same && same->settings_ == settings_;
  }

  std::vector<mx::Shape> output_shapes(const Arrays& inputs) override {
    mx::Shape shape = inputs[0].shape();
    shape[3] = settings_.bits ? inputs[4].shape(3) * 32 / settings_.bits : inputs[2].shape(3);
    return {shape};
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    mx::array& out = outputs[0];
    allocate_heads_last(out);
    const size_t count = parts();
    Attention a;
    a.q = head_rows(inputs[0]);
    if (settings_.bits) {
      a.k = packed_rows(inputs[1], inputs[2], inputs[3], settings_.bits, settings_.group);
      a.v = packed_rows(inputs[4], inputs[5], inputs[6], settings_.bits, settings_.group);
    } else {
      a.k = head_rows(inputs[1]);
      a.v = head_rows(inputs[2]);
    }
    a.batch = inputs[0].shape(0);
    a.heads = inputs[0].shape(1);
    a.kv_heads = inputs[1].shape(1);
    a.queries = inputs[0].shape(2);
    a.keys = inputs[1].shape(2);
    a.scale = settings_.scale;
    a.causal = settings_.causal;
    a.window = settings_.window;
    if (inputs.size() > count) a.mask = mask_of(inputs[count]);
    a.out = out.data<char>();
    a.out_type = element_of(out.dtype());
    dispatch([a] { attend(a); });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    const size_t count = parts();
    auto wide = [](const mx::array& a) { return mx::astype(a, mx::float32); };
    auto unpacked = [&](size_t i) {
      return mx::dequantize(inputs[i], wide(inputs[i + 1]), wide(inputs[i + 2]), settings_.group, settings_.bits);
    };
    mx::array q = wide(inputs[0]);
    mx::array k = settings_.bits ? unpacked(1) : wide(inputs[1]), v = settings_.bits ? unpacked(4) : wide(inputs[2]);
    std::optional<mx::array> mask;
    if (inputs.size() > count) mask = inputs[count].dtype() == mx::bool_ ? inputs[count] : wide(inputs[count]);
    const int queries = q.shape(2), keys = k.shape(2);
    if (settings_.causal && (settings_.window || mask || queries > keys)) {
      auto places = mx::expand_dims(mx::arange(keys - queries, keys), 1), at = mx::expand_dims(mx::arange(keys), 0);
      auto seen = mx::less_equal(at, places);
      if (settings_.window) {
        seen = mx::logical_and(seen, mx::greater(at, mx::subtract(places, mx::array(settings_.window))));
      }
      if (!mask) {
        mask = seen;
      } else if (mask->dtype() == mx::bool_) {
        mask = mx::logical_and(*mask, seen);
      } else {
        mask = mx::where(seen, *mask, mx::array(-std::numeric_limits<float>::infinity()));
      }
    }
    if (mask) {
      // MLX gives NaN, or the mean of all values, where a query sees nothing.
      const auto nothing = mx::array(mask->dtype() == mx::bool_ ? 0.0f : -std::numeric_limits<float>::infinity());
      const auto sees = mx::any(mx::not_equal(wide(*mask), nothing), -1, true);
      const auto everything = mx::astype(mx::array(mask->dtype() == mx::bool_), mask->dtype());
      auto out = mx::fast::scaled_dot_product_attention(q, k, v, settings_.scale, "array",
                                                        mx::where(sees, *mask, everything));
      return {mx::astype(mx::where(sees, out, mx::array(0.0f)), inputs[0].dtype())};
    }
    const std::string mode = settings_.causal ? "causal" : "";
    return {mx::astype(mx::fast::scaled_dot_product_attention(q, k, v, settings_.scale, mode), inputs[0].dtype())};
  }

 private:
  // The inputs before the mask.
  size_t parts() const { return settings_.bits ? 7 : 3; }

  Settings settings_;
};

void require_mask(const AttentionOptions& options, const mx::Shape& scores, const char* name) {
  require(!options.window || options.causal, name, "a window goes with causal");
  require(!options.window || *options.window >= 1, name, "a window is of 1 key or more");
  if (!options.mask) return;
  const mx::array& mask = *options.mask;
  require(mask.dtype() == mx::bool_ || is_float(mask.dtype()), name,
          [&] { return "a mask is of bools or floats, not " + text(mask.dtype()); });
  bool fits = mask.ndim() <= 4;
  for (size_t i = 0; fits && i < mask.ndim(); ++i) {
    const int size = mask.shape(static_cast<int>(i));
    fits = size == 1 || size == scores[4 - mask.ndim() + i];
  }
  require(fits, name,
          [&] { return "a mask of shape " + text(mask.shape()) + " does not broadcast to " + text(scores); });
}

// `k` and `v`: [B, K, S, D] and [B, K, S, E].
void require_heads(const mx::array& q, const mx::Shape& k, const mx::Shape& v, const char* name) {
  require(q.ndim() == 4 && k.size() == 4 && v.size() == 4, name, "q, k and v have four dims");
  const std::string shapes = text(q.shape()) + ", " + text(k) + " and " + text(v);
  require(is_float(q.dtype()), name, [&] { return "q is of floats, not " + text(q.dtype()); });
  require(k[0] == q.shape(0) && v[0] == q.shape(0) && k[1] == v[1] && k[2] == v[2], name,
          [&] { return "q, k and v of shapes " + shapes + " are not of one batch, or k and v not of the same rows"; });
  require(k[3] == q.shape(3), name, [&] { return "q and k of shapes " + shapes + " have rows of different widths"; });
  require(k[1] > 0 ? q.shape(1) % k[1] == 0 : q.shape(1) == 0, name, [&] {
    return std::to_string(q.shape(1)) + " heads of queries do not share " + std::to_string(k[1]) + " of keys evenly";
  });
}

mx::array node(const mx::Shape& v, const Settings& settings, const AttentionOptions& options,
               std::vector<mx::array> inputs) {
  mx::Shape shape = inputs[0].shape();
  shape[3] = v[3];
  if (options.mask) inputs.push_back(*options.mask);
  const mx::Dtype type = inputs[0].dtype();
  return mx::array(shape, type, std::make_shared<AttentionNode>(settings), std::move(inputs));
}

mx::Shape unpacked_shape(const PackedHeads& heads, int bits, int group, const char* what) {
  const mx::array& w = heads.weight;
  require(w.dtype() == mx::uint32 && w.ndim() == 4, kPackedName, [&] {
    return std::string(what) + " are uint32 [B, K, S, D * bits / 32], not " + text(w.dtype()) + " " + text(w.shape());
  });
  const int64_t bits_in_row = static_cast<int64_t>(w.shape(3)) * 32;
  require(bits_in_row % (static_cast<int64_t>(bits) * group) == 0, kPackedName,
          [&] { return "rows of " + std::to_string(w.shape(3)) + " words are not whole groups"; });
  mx::Shape shape = w.shape(), groups = w.shape();
  shape[3] = static_cast<int>(bits_in_row / bits);
  groups[3] = shape[3] / group;
  require(is_float(heads.scales.dtype()) && heads.biases.dtype() == heads.scales.dtype(), kPackedName,
          "scales and biases are of one float type");
  require(heads.scales.shape() == groups && heads.biases.shape() == groups, kPackedName, [&] {
    return "scales and biases of " + std::string(what) + " are " + text(groups) + ", not " +
           text(heads.scales.shape()) + " and " + text(heads.biases.shape());
  });
  return shape;
}

}  // namespace

HeadRows head_rows(const mx::array& a) {
  HeadRows rows;
  rows.data = a.data<char>();
  rows.type = element_of(a.dtype());
  rows.strides = strides_of(a);
  rows.width = a.shape(3);
  return rows;
}

mx::array attention(const mx::array& q, const mx::array& k, const mx::array& v, const AttentionOptions& options) {
  require_heads(q, k.shape(), v.shape(), kName);
  require(is_float(k.dtype()) && is_float(v.dtype()), kName,
          [&] { return "k and v are of floats, not " + text(k.dtype()) + " and " + text(v.dtype()); });
  require_mask(options, {q.shape(0), q.shape(1), q.shape(2), k.shape(2)}, kName);
  const Settings settings{options.scale, options.causal, options.window.value_or(0), 0, 0};
  return node(v.shape(), settings, options, {q, k, v});
}

mx::array attention_packed(const mx::array& q, const PackedHeads& keys, const PackedHeads& values, int bits, int group,
                           const AttentionOptions& options) {
  require(bits == 2 || bits == 3 || bits == 4 || bits == 5 || bits == 6 || bits == 8, kPackedName,
          [&] { return "there is no kernel for " + std::to_string(bits) + " bits"; });
  require(group == 32 || group == 64 || group == 128, kPackedName,
          [&] { return "there is no kernel for groups of " + std::to_string(group); });
  const mx::Shape k = unpacked_shape(keys, bits, group, "keys"), v = unpacked_shape(values, bits, group, "values");
  require_heads(q, k, v, kPackedName);
  require_mask(options, {q.shape(0), q.shape(1), q.shape(2), k[2]}, kPackedName);
  const Settings settings{options.scale, options.causal, options.window.value_or(0), bits, group};
  return node(v, settings, options,
              {q, keys.weight, keys.scales, keys.biases, values.weight, values.scales, values.biases});
}

}  // namespace tensorlogic
