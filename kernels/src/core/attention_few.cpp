// Attention of few queries, bound by the reading of keys and values: these are read once for all queries of a group of
// heads, and stretches of them are shared out to the threads.
#include <algorithm>
#include <cmath>

#include "core/attention.h"
#include "core/isa.h"
#include "core/pool.h"
#include "core/scratch.h"

namespace tensorlogic {
namespace {

// Keys in a stretch: few, so that stretches share evenly among threads; doubled until there are at most kMostStretches.
constexpr int64_t kStretch = 64, kMostStretches = 128;
// Keys or values whose floats are in memory at a time where they cannot be read in place.
constexpr int64_t kStaged = 16;
// Items of keys that are worth a thread's waking.
constexpr int64_t kLeastItems = 8 * 1024;

// What a stretch leaves, for each row: the largest score, the sum of e^(score - largest), and that of the values.
struct Parts {
  float *largest, *totals;  // [pairs, rows, padded stretches]
  float* sums;              // [pairs, stretches, rows, padded value width]
};

struct Plan {
  const Attention& a;
  int64_t rows, first, keys;  // rows of queries that share keys; the keys that any of them sees
  int64_t stretch, stretches, padded_stretches, width, value_width;

  explicit Plan(const Attention& of)
      : a(of),
        rows(a.queries * a.group()),
        first(a.first_key(0)),
        keys(a.end_key(a.queries - 1) - first),
        stretch(kStretch),
        width(padded_to_16(a.k.width)),
        value_width(padded_to_16(a.v.width)) {
    while (keys > stretch * kMostStretches) stretch *= 2;
    stretches = std::max<int64_t>(1, (keys + stretch - 1) / stretch);
    padded_stretches = padded_to_16(stretches);
  }
  int64_t query(int64_t row) const { return row / a.group(); }
  int64_t head(int64_t pair, int64_t row) const { return pair % a.kv_heads * a.group() + row % a.group(); }
};

// The scaled queries of a pair of batch and head of keys.
void gather_queries(const Plan& plan, int64_t pair, float* to) {
  const Attention& a = plan.a;
  for (int64_t r = 0; r < plan.rows; ++r, to += plan.width) {
    a.q.floats(pair / a.kv_heads, plan.head(pair, r), plan.query(r), 1, plan.width, to, plan.width);
    kernels().scale(to, a.scale, nullptr, to, a.q.width);
  }
}

// Where the inner loops read a row, or null.
const void* address(const HeadRows& of, const Plan& plan, int64_t pair, int64_t row) {
  if (!of.in_place()) return nullptr;
  return of.rows(pair / plan.a.kv_heads, pair % plan.a.kv_heads, row).data;
}

// Calls `f(rows, first, count)` for keys or values `begin` to `end`, in place or in pieces.
template <class F>
void each_piece(const HeadRows& from, const Plan& plan, int64_t pair, int64_t begin, int64_t end, const void* next,
                F&& f) {
  const int64_t batch = pair / plan.a.kv_heads, head = pair % plan.a.kv_heads;
  if (from.in_place()) {
    FloatRows rows = from.rows(batch, head, begin);
    rows.next = next;
    return f(rows, begin, end - begin);
  }
  thread_local Scratch memory;
  const int64_t width = padded_to_16(from.width);
  float* room = memory.get<float>(kStaged * width);
  for (int64_t i = begin; i < end; i += kStaged) {
    const int64_t count = std::min(end - i, kStaged);
    from.floats(batch, head, i, count, width, room, width);
    f(FloatRows{room, Element::f32, width}, i, count);
  }
}

// Hides the keys that one row does not see in its scores of keys `begin` to `end`.
void mask_scores(const Plan& plan, int64_t pair, int64_t row, int64_t begin, int64_t end, float* scores) {
  const Attention& a = plan.a;
  const int64_t query = plan.query(row), count = end - begin;
  if (a.mask.data) {
    thread_local Scratch memory;
    float* mask = memory.get<float>(count);
    a.mask.row(pair / a.kv_heads, plan.head(pair, row), query, begin, count, mask);
    kernels().add(scores, mask, scores, count);
  }
  const int64_t first = std::clamp(a.first_key(query) - begin, int64_t{0}, count);
  const int64_t last = std::clamp(a.end_key(query) - begin, int64_t{0}, count);
  std::fill(scores, scores + first, -HUGE_VALF);
  std::fill(scores + last, scores + count, -HUGE_VALF);
}

// `next`: the keys of the stretch that this thread takes next, or null.
void attend_stretch(const Plan& plan, int64_t pair, int64_t index, const float* q, const void* next,
                    const Parts& parts) {
  const Attention& a = plan.a;
  const Kernels& k = kernels();
  const int64_t begin = plan.first + index * plan.stretch, end = std::min(begin + plan.stretch, plan.first + plan.keys);
  thread_local Scratch memory;
  float* scores = memory.get<float>(plan.rows * plan.stretch);
  auto score = [&](const FloatRows& keys, int64_t first, int64_t count) {
    k.dots(q, plan.width, plan.rows, keys, count, plan.width, scores + first - begin, plan.stretch);
  };
  each_piece(a.k, plan, pair, begin, end, address(a.v, plan, pair, begin), score);
  for (int64_t r = 0; r < plan.rows; ++r) {
    float* row = scores + r * plan.stretch;
    mask_scores(plan, pair, r, begin, end, row);
    const int64_t at = (pair * plan.rows + r) * plan.padded_stretches + index;
    parts.totals[at] = k.softmax_weights(row, end - begin, parts.largest + at);
  }
  float* sums = parts.sums + (pair * plan.stretches + index) * plan.rows * plan.value_width;
  std::fill(sums, sums + plan.rows * plan.value_width, 0.0f);
  auto weigh = [&](const FloatRows& values, int64_t first, int64_t count) {
    k.add_weighted(scores + first - begin, plan.stretch, plan.rows, values, count, plan.value_width, sums,
                   plan.value_width);
  };
  each_piece(a.v, plan, pair, begin, end, next, weigh);
}

// Adds what the stretches left of one row, in their order.
void merge(const Plan& plan, int64_t pair, int64_t row, const Parts& parts) {
  const Attention& a = plan.a;
  const Kernels& k = kernels();
  const int64_t at = (pair * plan.rows + row) * plan.padded_stretches;
  float *weights = parts.largest + at, *totals = parts.totals + at, largest;
  const float* sums = parts.sums + (pair * plan.stretches * plan.rows + row) * plan.value_width;
  k.softmax_weights(weights, plan.stretches, &largest);
  float total = 0;
  for (int64_t i = 0; i < plan.stretches; ++i) total += weights[i] * totals[i];
  thread_local Scratch memory;
  float* result = memory.get<float>(plan.value_width);
  std::fill(result, result + plan.value_width, 0.0f);
  k.add_weighted(weights, 0, 1, {sums, Element::f32, plan.rows * plan.value_width}, plan.stretches, plan.value_width,
                 result, 0);
  a.finish(pair / a.kv_heads, plan.head(pair, row), plan.query(row), result, total);
}

}  // namespace

void attend_few(const Attention& a) {
  const Plan plan(a);
  const int64_t pairs = a.batch * a.kv_heads, rows = pairs * plan.rows;
  thread_local Scratch query_memory, largest_memory, total_memory, sum_memory;
  float* q = query_memory.get<float>(rows * plan.width);
  const Parts parts{largest_memory.get<float>(rows * plan.padded_stretches),
                    total_memory.get<float>(rows * plan.padded_stretches),
                    sum_memory.get<float>(rows * plan.stretches * plan.value_width)};
  for (int64_t pair = 0; pair < pairs; ++pair) gather_queries(plan, pair, q + pair * plan.rows * plan.width);
  // What a thread fetches ahead should be its own, so ranges are long; two for each let a thread that is held up give
  // one away.
  const int64_t items = plan.stretch * (plan.width + plan.value_width), all = pairs * plan.stretches;
  const int64_t grain = std::max(kLeastItems / items + 1, all / (2 * pool().threads()));
  pool().parallel(all, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t pair = i / plan.stretches, index = i % plan.stretches, after = i + 1;
      const void* next = nullptr;
      if (after < end) {
        next = address(a.k, plan, after / plan.stretches, plan.first + after % plan.stretches * plan.stretch);
      }
      attend_stretch(plan, pair, index, q + pair * plan.rows * plan.width, next, parts);
    }
  });
  const int64_t merged = plan.stretches * plan.value_width;
  pool().parallel(rows, 8 * kLeastItems / (merged + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) merge(plan, r / plan.rows, r % plan.rows, parts);
  });
}

}  // namespace tensorlogic
