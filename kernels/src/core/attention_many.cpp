// Attention of many queries, bound by the products. The queries of the heads that share keys are one list, in the order
// of positions; tiles of it go over blocks of keys, and over no more of these than a tile's queries may see.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/attention.h"
#include "core/isa.h"
#include "core/pool.h"
#include "core/scratch.h"

namespace tensorlogic {
namespace {

// Keys in a block. With the values and scores it stays in a core's second-level cache, its parts in the first.
constexpr int64_t kBlock = 128;
// Tiles that a task takes through the same blocks: they share the widening of keys and values.
constexpr int64_t kTilesInTask = 4;
// Rows that begin 64 bytes further on in each page do not push each other out of a cache.
constexpr int64_t kSkew = 16;

// Lanes that see nothing, then all, then nothing: what hides the first or the last of a tile's lanes.
constexpr int64_t kMostLanes = 32;
struct HiddenLanes {
  float values[3 * kMostLanes];
  HiddenLanes() {
    std::fill(values, values + 3 * kMostLanes, 0.0f);
    std::fill(values, values + kMostLanes, -HUGE_VALF);
    std::fill(values + 2 * kMostLanes, values + 3 * kMostLanes, -HUGE_VALF);
  }
  const float* first(int64_t n) const { return values + kMostLanes - n; }
  const float* from(int64_t n) const { return values + 2 * kMostLanes - n; }
};

struct Plan {
  const Attention& a;
  // The same for all tasks, since tiles have its lanes.
  const Kernels& k;
  int64_t lanes, rows, tiles, tiles_in_task, tasks_of_pair, width, value_width, key_stride, value_stride;

  explicit Plan(const Attention& of)
      : a(of),
        k(kernels()),
        lanes(k.query_lanes),
        rows(a.queries * a.group()),
        tiles((rows + lanes - 1) / lanes),
        tiles_in_task(std::clamp<int64_t>(tiles / 8, 1, kTilesInTask)),
        tasks_of_pair((tiles + tiles_in_task - 1) / tiles_in_task),
        width(a.k.width),
        value_width(padded_to_16(a.v.width)),
        key_stride(padded_to_16(width) + kSkew),
        value_stride(value_width + kSkew) {}
};

// A thread's memory.
struct Room {
  Scratch q, statistics, sums, keys, values, scores, bias;
};

class Task {
 public:
  Task(const Plan& plan, int64_t pair, int64_t first_tile, Room& room)
      : plan_(plan),
        a_(plan.a),
        batch_(pair / a_.kv_heads),
        kv_head_(pair % a_.kv_heads),
        first_row_(first_tile * plan.lanes),
        tiles_(std::min(plan.tiles_in_task, plan.tiles - first_tile)),
        end_row_(std::min(first_row_ + tiles_ * plan.lanes, plan.rows)),
        q_(room.q.get<float>(tiles_ * plan.width * plan.lanes)),
        statistics_(room.statistics.get<float>(2 * tiles_ * plan.lanes)),
        sums_(room.sums.get<float>(tiles_ * plan.lanes * plan.value_width)),
        keys_(room.keys.get<float>((kBlock + kKeyPadding) * plan.key_stride)),
        values_(room.values.get<float>(kBlock * plan.value_stride)),
        scores_(room.scores.get<float>((kBlock + kKeyPadding) * plan.lanes)),
        bias_(room.bias.get<float>((kBlock + 1) * plan.lanes)) {}

  void run() {
    gather_queries();
    const int64_t end = a_.end_key(query(end_row_ - 1));
    for (int64_t begin = a_.first_key(query(first_row_)) / kBlock * kBlock; begin < end; begin += kBlock) {
      widen(begin, std::min(begin + kBlock, end));
      for (int64_t t = 0; t < tiles_; ++t) attend_tile(t, begin);
    }
    for (int64_t row = first_row_; row < end_row_; ++row) {
      const int64_t at = row - first_row_;
      const float total = statistics_[(at / plan_.lanes * 2 + 1) * plan_.lanes + at % plan_.lanes];
      a_.finish(batch_, head(row), query(row), sums_ + at * plan_.value_width, total);
    }
  }

 private:
  int64_t query(int64_t row) const { return row / a_.group(); }
  int64_t head(int64_t row) const { return kv_head_ * a_.group() + row % a_.group(); }

  // Tiles of [width, lanes], scaled.
  void gather_queries() {
    const int64_t lanes = plan_.lanes, width = plan_.width;
    std::fill(q_, q_ + tiles_ * width * lanes, 0.0f);
    for (int64_t row = first_row_; row < end_row_; ++row) {
      const int64_t at = row - first_row_;
      a_.q.floats(batch_, head(row), query(row), 1, width, keys_, 0);
      float* to = q_ + at / lanes * width * lanes + at % lanes;
      for (int64_t d = 0; d < width; ++d) to[d * lanes] = keys_[d] * a_.scale;
    }
    for (int64_t t = 0; t < tiles_; ++t) {
      float* largest = statistics_ + 2 * t * lanes;
      std::fill(largest, largest + lanes, std::numeric_limits<float>::lowest());
      std::fill(largest + lanes, largest + 2 * lanes, 0.0f);
    }
    std::fill(sums_, sums_ + tiles_ * lanes * plan_.value_width, 0.0f);
  }

  void widen(int64_t begin, int64_t end) {
    a_.k.floats(batch_, kv_head_, begin, end - begin, plan_.width, keys_, plan_.key_stride);
    // The last keys are taken together with what lies behind them.
    float* rest = keys_ + (end - begin) * plan_.key_stride;
    std::fill(rest, rest + kKeyPadding * plan_.key_stride, 0.0f);
    a_.v.floats(batch_, kv_head_, begin, end - begin, plan_.value_width, values_, plan_.value_stride);
  }

  // Takes tile `t` of this task over the keys that it may see of the block that begins at key `block`.
  void attend_tile(int64_t t, int64_t block) {
    const int64_t lanes = plan_.lanes, row = first_row_ + t * lanes, last = std::min(row + lanes, end_row_) - 1;
    const int64_t begin = std::max(block, a_.first_key(query(row)));
    const int64_t end = std::min(block + kBlock, a_.end_key(query(last)));
    if (begin >= end) return;
    const float* bias[kBlock];
    const bool biased = fill_bias(row, last, begin, end, bias);
    const KeyBlock of{end - begin,
                      plan_.width,
                      plan_.value_width,
                      keys_ + (begin - block) * plan_.key_stride,
                      values_ + (begin - block) * plan_.value_stride,
                      plan_.key_stride,
                      plan_.value_stride,
                      biased ? bias : nullptr,
                      scores_};
    float* statistics = statistics_ + 2 * t * lanes;
    plan_.k.attend_block(of, {q_ + t * plan_.width * lanes, statistics, statistics + lanes,
                                sums_ + t * lanes * plan_.value_width, plan_.value_width});
  }

  // Points to what is added to the scores of keys `begin` to `end` for the lanes of rows `row` to `last`; false where
  // that is nothing.
  bool fill_bias(int64_t row, int64_t last, int64_t begin, int64_t end, const float** bias) {
    static const HiddenLanes hidden;
    const bool late = a_.end_key(query(row)) < end, early = a_.window && a_.first_key(query(last)) > begin;
    if (!late && !early && !a_.mask.data) return false;
    if (a_.mask.data) fill_mask(row, last, begin, end);
    const int64_t lanes = plan_.lanes, behind = a_.keys - a_.queries;
    for (int64_t key = begin; key < end; ++key) {
      // Queries before the key's place do not see it, nor do those from the window's end on.
      const int64_t before = late ? std::clamp((key - behind) * a_.group() - row, int64_t{0}, lanes) : 0;
      const int64_t from =
          early ? std::clamp((key - behind + a_.window) * a_.group() - row, int64_t{0}, lanes) : lanes;
      const float *first = hidden.first(before), *rest = hidden.from(from);
      float* own = bias_ + (key - begin) * lanes;
      if (!a_.mask.data && (before == 0 || from == lanes)) {
        bias[key - begin] = before == 0 ? rest : first;
        continue;
      }
      for (int64_t i = 0; i < lanes; ++i) own[i] = (a_.mask.data ? own[i] : 0.0f) + first[i] + rest[i];
      bias[key - begin] = own;
    }
    return true;
  }

  // The mask's part of the bias, [keys, lanes].
  void fill_mask(int64_t row, int64_t last, int64_t begin, int64_t end) {
    const int64_t lanes = plan_.lanes, count = end - begin;
    float of_row[kBlock];
    const bool shared = a_.mask.strides[1] == 0 && a_.mask.strides[2] == 0;
    for (int64_t r = row; r <= last; ++r) {
      if (r == row || !shared) a_.mask.row(batch_, head(r), query(r), begin, count, of_row);
      for (int64_t i = 0; i < count; ++i) bias_[i * lanes + r - row] = of_row[i];
    }
    for (int64_t lane = last - row + 1; lane < lanes; ++lane) {
      for (int64_t i = 0; i < count; ++i) bias_[i * lanes + lane] = 0;
    }
  }

  const Plan& plan_;
  const Attention& a_;
  const int64_t batch_, kv_head_, first_row_, tiles_, end_row_;
  float *q_, *statistics_, *sums_, *keys_, *values_, *scores_, *bias_;
};

}  // namespace

void attend_many(const Attention& a) {
  const Plan plan(a);
  const int64_t pairs = a.batch * a.kv_heads, tasks = pairs * plan.tasks_of_pair;
  pool().parallel(tasks, 1, [&](int64_t begin, int64_t end) {
    thread_local Room room;
    for (int64_t i = begin; i < end; ++i) {
      // The last queries first: where attention is causal, theirs is the most work.
      const int64_t index = plan.tasks_of_pair - 1 - i / pairs;
      Task(plan, i % pairs, index * plan.tiles_in_task, room).run();
    }
  });
}

}  // namespace tensorlogic
