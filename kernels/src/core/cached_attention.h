// The middle of an attention block with a cache: from the joined projection of queries, keys and values to the heads'
// outputs, with the norms of heads (Henry et al. 2020), rotary positions (Su et al. 2021) and the cache's growth.
//
// Takes: a projection anywhere in memory, caches without gaps. Promises: as core/attention.h; rows of the caches other
// than the new ones stay as they are. Angles are float64 until their sine and cosine are taken, so that these are right
// to float32's last digit at every position.
#pragma once

#include <cstdint>

#include "core/attention.h"
#include "core/rotary.h"

namespace tensorlogic {

struct CachedAttention {
  int64_t batch, length, heads, kv_heads, width, capacity;
  HeadRows qkv;         // [batch, heads + 2 * kv_heads, length, width]
  char *keys, *values;  // [batch, kv_heads, capacity, width]; the rows from rotary.offset on are written
  Element key_type, value_type;
  const float *query_norm = nullptr, *key_norm = nullptr;  // [width]; null: no norm
  float eps = 0;
  Rotary rotary;  // its offset is the caches', too; no dims: no rotary positions
  float scale;
  int64_t window = 0;
  void* out;  // [batch, length, heads, width]
  Element out_type;
};

// Appends to the caches, then attends causally over their rows up to the last new one.
void attend_cached(const CachedAttention& a);

}  // namespace tensorlogic
