// An attention block's middle with its cache (core/cached_attention.h) as a node of MLX graphs.
#pragma once

#include <optional>
#include <vector>

#include "primitives/kernel.h"

namespace tensorlogic {

struct CachedAttentionOptions {
  int heads, kv_heads, offset;
  float scale;
  std::optional<int> window;
  // Rotary positions of the first `rope_dims` of a head; 0: none. Either `rope_base` or `freqs` is given.
  int rope_dims;
  std::optional<float> rope_base;
  float rope_scale;
  bool traditional;
  std::optional<mx::array> freqs, query_norm, key_norm;
  float eps;
};

// qkv [B, L, (H + 2 K) * D], keys and values [B, K, C, D] of floats: [B, L, H * D] in qkv's type, and the caches with
// the new rows at offset to offset + L. The caches' memory is taken over where no one else holds it, else copied.
// Throws std::invalid_argument where types or sizes do not fit.
std::vector<mx::array> cached_attention(const mx::array& qkv, const mx::array& keys, const mx::array& values,
                                        const CachedAttentionOptions& options);

}  // namespace tensorlogic
