// Attention (core/attention.h) as a node of MLX graphs.
#pragma once

#include <optional>

#include "core/attention.h"
#include "primitives/kernel.h"

namespace tensorlogic {

// How `attention` and `attention_packed` hide keys and scale scores.
struct AttentionOptions {
  float scale = 1;
  bool causal = false;
  std::optional<int> window;
  std::optional<mx::array> mask;
};

// q [B, H, L, D], k [B, K, S, D], v [B, K, S, E] of floats, in any types and strides, H a multiple of K: [B, H, L, E]
// in q's type, in the memory order of [B, L, H, E]. A `window` goes with `causal`. `mask` broadcasts to [B, H, L, S].
// Throws std::invalid_argument where types or sizes do not fit.
mx::array attention(const mx::array& q, const mx::array& k, const mx::array& v, const AttentionOptions& options);

// The parts that mlx.core.quantize gives of an array [B, K, S, D], in the mode "affine".
struct PackedHeads {
  mx::array weight, scales, biases;
};

// As `attention`, with keys and values packed along their last dim, `bits` of 2, 3, 4, 5, 6 or 8.
mx::array attention_packed(const mx::array& q, const PackedHeads& keys, const PackedHeads& values, int bits, int group,
                           const AttentionOptions& options);

// The parts of a task that other nodes share. The arrays' memory is valid while MLX runs the task.
HeadRows head_rows(const mx::array& a);

}  // namespace tensorlogic
