// What the inner loops of attention take (isa/attention.inl, isa/attention_blocks.inl).
#pragma once

#include <cstdint>

#include "core/element.h"

namespace tensorlogic {

// Rows of floats without gaps between their items, `stride` items apart.
struct FloatRows {
  const void* data;
  Element type;
  int64_t stride;
  // Rows that are used next, as many bytes apart: each is fetched into the cache while the same row here is used. Null:
  // nothing is fetched.
  const void* next = nullptr;
};

// Queries side by side, `Kernels::query_lanes` of them, and what is known of them after some blocks of keys.
struct QueryTile {
  const float* q;  // [width, lanes], with the scale
  float* largest;  // [lanes], of the scores
  float* total;    // [lanes], of e^(score - largest)
  float* sums;     // [lanes, sums_stride], of e^(score - largest) * value
  int64_t sums_stride;
};

// A block of keys and values in the order of positions. Behind the last key is room for kKeyPadding more.
struct KeyBlock {
  int64_t count, width, value_width;  // the last a multiple of 16
  const float* keys;
  const float* values;
  int64_t key_stride, value_stride;
  // What is added to the scores of each key, `lanes` floats for each; null where that is nothing.
  const float* const* bias;
  float* scores;  // room for [count + kKeyPadding, lanes]
};

inline constexpr int64_t kKeyPadding = 8;

}  // namespace tensorlogic
