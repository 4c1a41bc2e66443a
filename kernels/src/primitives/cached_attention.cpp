#include "primitives/cached_attention.h"

#include <stdexcept>

#include "core/cached_attention.h"
#include "core/pool.h"
#include "primitives/attention.h"
#include "primitives/holders.h"

namespace tensorlogic {
namespace {

constexpr const char* kName = "tensorlogic_cpu.cached_attention";

// What is not an array.
struct Settings {
  int heads, kv_heads, offset;
  float scale;
  int window, rope_dims;
  float rope_base, rope_scale;
  bool traditional, freqs, query_norm, key_norm;
  float eps;
  bool operator==(const Settings&) const = default;
};

// A cache that is a copy of another array.
struct CacheCopy {
  HeadRows from;
  char* to = nullptr;  // null: the cache is the other's memory
  int64_t batch, heads, rows;

  void run() const {
    if (!to) return;
    const int64_t size = size_of(from.type), bytes = from.width * size;
    pool().parallel(batch * heads * rows, 64 * 1024 / (bytes + 1) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const FloatRows row = from.rows(r / rows / heads, r / rows % heads, r % rows);
        auto source = static_cast<const char*>(row.data);
        if (from.strides[3] == 1) {
          std::memcpy(to + r * bytes, source, static_cast<size_t>(bytes));
          continue;
        }
        for (int64_t i = 0; i < from.width; ++i) {
          std::memcpy(to + r * bytes + i * size, source + i * from.strides[3] * size, static_cast<size_t>(size));
        }
      }
    });
  }
};

class CachedAttentionNode : public Kernel {
 public:
  explicit CachedAttentionNode(const Settings& settings) : settings_(settings) {}

  const char* name() const override { return "TensorLogicCachedAttention"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const CachedAttentionNode*>(&other);
    return same && same->settings_ == settings_;
  }

  std::vector<mx::Shape> output_shapes(const Arrays& inputs) override {
    mx::Shape out = inputs[0].shape();
    out[2] = settings_.heads * inputs[1].shape(3);
    return {out, inputs[1].shape(), inputs[2].shape()};
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    const Settings& s = settings_;
    if (inputs.size() != 3u + s.freqs + s.query_norm + s.key_norm) throw std::runtime_error("cached_attention: inputs");
    allocate(outputs[0]);
    let_siblings_go(inputs, outputs);
    const CacheCopy keys = take_over(inputs[1], outputs[1]), values = take_over(inputs[2], outputs[2]);
    const mx::array &qkv = inputs[0], &cache = inputs[1];
    CachedAttention a{};
    a.batch = qkv.shape(0);
    a.length = qkv.shape(1);
    a.heads = s.heads;
    a.kv_heads = s.kv_heads;
    a.capacity = cache.shape(2);
    a.width = cache.shape(3);
    a.qkv.data = qkv.data<char>();
    a.qkv.type = element_of(qkv.dtype());
    a.qkv.width = a.width;
    a.qkv.strides = {qkv.strides()[0], a.width * qkv.strides()[2], qkv.strides()[1], qkv.strides()[2]};
    a.keys = outputs[1].data<char>();
    a.values = outputs[2].data<char>();
    a.key_type = element_of(outputs[1].dtype());
    a.value_type = element_of(outputs[2].dtype());
    a.eps = s.eps;
    a.rotary = {s.rope_dims, s.traditional, s.rope_base, nullptr, s.rope_scale, s.offset};
    a.scale = s.scale;
    a.window = s.window;
    a.out = outputs[0].data<char>();
    a.out_type = element_of(outputs[0].dtype());
    std::vector<Input> vectors;
    for (size_t i = 3; i < inputs.size(); ++i) vectors.emplace_back(inputs[i]);
    auto queued = std::make_shared<QueuedMemory>(inputs, outputs);
    dispatch([a, keys, values, vectors = std::move(vectors), queued = std::move(queued), s]() mutable {
      // Ends before the task does, also where it fails.
      const auto leaving = std::move(queued);
      thread_local Scratch memory[3];
      size_t next = 0;
      auto floats = [&](bool given) {
        if (!given) return static_cast<const float*>(nullptr);
        const float* f = vectors[next].floats(memory[next]);
        ++next;
        return f;
      };
      a.rotary.freqs = floats(s.freqs);
      a.query_norm = floats(s.query_norm);
      a.key_norm = floats(s.key_norm);
      keys.run();
      values.run();
      attend_cached(a);
    });
  }

 protected:
  Arrays by_mlx(const Arrays&) const override {
    throw std::invalid_argument(
        "[tensorlogic_cpu.cached_attention] has no gradient and no vmap: a cache is for generating; train with "
        "attention over whole sequences");
  }

 private:
  static CacheCopy take_over(const mx::array& cache, mx::array& out) {
    CacheCopy copy{head_rows(cache), nullptr, cache.shape(0), cache.shape(1), cache.shape(2)};
    if (cache.flags().row_contiguous && cache.data_size() == cache.size() && held_only_by_its_node(cache)) {
      out.copy_shared_buffer(cache);
    } else {
      allocate(out);
      copy.to = out.data<char>();
    }
    return copy;
  }

  Settings settings_;
};

void require_vector(const std::optional<mx::array>& a, int64_t size, const std::string& what) {
  if (!a) return;
  require(is_float(a->dtype()) && a->ndim() == 1 && a->shape(0) == size, kName, [&] {
    return what + " is of floats [" + std::to_string(size) + "], not " + text(a->dtype()) + " " + text(a->shape());
  });
}

}  // namespace

std::vector<mx::array> cached_attention(const mx::array& qkv, const mx::array& keys, const mx::array& values,
                                        const CachedAttentionOptions& o) {
  require(is_float(qkv.dtype()) && is_float(keys.dtype()) && is_float(values.dtype()), kName,
          "qkv, keys and values are of floats");
  require(qkv.ndim() == 3 && keys.ndim() == 4 && keys.shape() == values.shape(), kName, [&] {
    return "qkv is [B, L, (heads + 2 * kv_heads) * D] and the caches are [B, kv_heads, C, D], not " +
           text(qkv.shape()) + ", " + text(keys.shape()) + " and " + text(values.shape());
  });
  require(o.heads >= 1 && o.kv_heads >= 1 && o.heads % o.kv_heads == 0, kName, [&] {
    return std::to_string(o.heads) + " heads do not share " + std::to_string(o.kv_heads) + " of keys evenly";
  });
  const int64_t width = keys.shape(3), joined = (o.heads + 2 * static_cast<int64_t>(o.kv_heads)) * width;
  require(keys.shape(0) == qkv.shape(0) && keys.shape(1) == o.kv_heads && qkv.shape(2) == joined, kName, [&] {
    return "qkv of shape " + text(qkv.shape()) + " does not fit caches of shape " + text(keys.shape()) + " with " +
           std::to_string(o.heads) + " and " + std::to_string(o.kv_heads) + " heads";
  });
  require(o.offset >= 0 && static_cast<int64_t>(o.offset) + qkv.shape(1) <= keys.shape(2), kName, [&] {
    return std::to_string(qkv.shape(1)) + " rows from " + std::to_string(o.offset) + " on do not fit a cache of " +
           std::to_string(keys.shape(2));
  });
  require(!o.window || *o.window >= 1, kName, "a window is of 1 key or more");
  require(o.rope_dims >= 0 && o.rope_dims <= width && o.rope_dims % 2 == 0, kName, [&] {
    return "rope_dims is an even number of at most " + std::to_string(width) + ", not " + std::to_string(o.rope_dims);
  });
  require(o.rope_dims ? o.rope_base.has_value() != o.freqs.has_value() : !o.freqs, kName,
          "rotary positions take rope_base or freqs, one of the two");
  require(!o.rope_base || *o.rope_base > 0, kName, "rope_base is above 0");
  require_vector(o.freqs, o.rope_dims / 2, "freqs");
  require_vector(o.query_norm, width, "q_norm");
  require_vector(o.key_norm, width, "k_norm");
  const Settings settings{o.heads,
                          o.kv_heads,
                          o.offset,
                          o.scale,
                          o.window.value_or(0),
                          o.rope_dims,
                          o.rope_base.value_or(0),
                          o.rope_scale,
                          o.traditional,
                          o.freqs.has_value(),
                          o.query_norm.has_value(),
                          o.key_norm.has_value(),
                          o.eps};
  std::vector<mx::array> inputs{qkv, keys, values};
  for (const auto& given : {o.freqs, o.query_norm, o.key_norm}) {
    if (given) inputs.push_back(*given);
  }
  mx::Shape out = qkv.shape();
  out[2] = static_cast<int>(o.heads * width);
  return mx::array::make_arrays({out, keys.shape(), values.shape()}, {qkv.dtype(), keys.dtype(), values.dtype()},
                                std::make_shared<CachedAttentionNode>(settings), inputs);
}

}  // namespace tensorlogic
