// Attention: softmax(q @ k.T * scale + mask) @ v in each head (Vaswani et al. 2017), where K heads of keys and values
// serve H heads of queries (Ainslie et al. 2023).
//
// Takes: queries, keys and values anywhere in memory. Promises: everything is computed in float32 and rounded once, at
// the end. The softmax is a streaming one (Milakov and Gimelshein 2018; Dao et al. 2022): no more than a block of
// scores is in memory. Blocks are fixed by positions and merged in order, so that results do not depend on the threads.
// A query that sees no key gives zeros. What is hidden is finite: 0 times infinity is NaN.
#pragma once

#include <array>
#include <cstdint>

#include "core/attention_loops.h"

namespace tensorlogic {

// Strides of [batch, heads, rows] and, last, from item to item.
using Strides4 = std::array<int64_t, 4>;

// Queries, keys or values: floats [batch, heads, rows, width], or rows of codes.
struct HeadRows {
  const char* data = nullptr;  // of floats
  Element type = Element::f32;
  Strides4 strides{};  // in items
  int64_t width = 0;

  // Codes, scales and biases of one row, without gaps in it; the strides of the three count bytes.
  bool is_packed = false;
  PackedMatrix packed{};
  Strides4 code_strides{}, scale_strides{}, bias_strides{};

  // Rows that inner loops read where they are: floats without gaps, `width` a multiple of 16.
  bool in_place() const { return !is_packed && width % 16 == 0 && (strides[3] == 1 || width == 1); }
  FloatRows rows(int64_t batch, int64_t head, int64_t first) const;
  // Rows `first` to `first + count` as floats, `to_stride` apart, each filled up with zeros to `padded` items.
  void floats(int64_t batch, int64_t head, int64_t first, int64_t count, int64_t padded, float* to,
              int64_t to_stride) const;
};

// What is added to scores, or bools that say which keys are seen. Strides are 0 where it is broadcast.
struct AttentionMask {
  const char* data = nullptr;  // null: nothing is hidden
  bool is_bool = false;
  Element type = Element::f32;
  Strides4 strides{};  // of [batch, heads, queries, keys]

  // to[i * to_stride] = what the score of key first + i gets, -infinity where that is not seen.
  void row(int64_t batch, int64_t head, int64_t query, int64_t first, int64_t count, float* to) const;
};

struct Attention {
  int64_t batch, heads, kv_heads, queries, keys;
  HeadRows q, k, v;
  float scale;
  // The last query is at the last key's place, each one before it one earlier; none sees a later key.
  bool causal = false;
  // With `causal`: a query sees the last `window` keys up to its place. 0: all of them.
  int64_t window = 0;
  AttentionMask mask;
  void* out;  // [batch, queries, heads, v.width]
  Element out_type;

  int64_t group() const { return heads / kv_heads; }
  // The keys that a query may see, by its place, are first_key(query) to end_key(query). Both grow with `query`.
  int64_t first_key(int64_t query) const;
  int64_t end_key(int64_t query) const;
  // Writes sums / total of one query in one head; zeros where total is 0. `sums` may be overwritten.
  void finish(int64_t batch, int64_t head, int64_t query, float* sums, float total) const;
};

void attend(const Attention& a);

// Parts of `attend`.
// Keys are split among the threads: for at most kDecodeRows queries.
void attend_few(const Attention& a);
// Queries are split among the threads.
void attend_many(const Attention& a);

}  // namespace tensorlogic
