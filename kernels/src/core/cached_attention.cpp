#include "core/cached_attention.h"

#include <cmath>

#include "core/isa.h"
#include "core/pool.h"
#include "core/scratch.h"

namespace tensorlogic {
namespace {

// Items that are worth a thread's waking.
constexpr int64_t kLeastItems = 8 * 1024;

// Cosines and sines of positions, [length, dims / 2] each.
struct Angles {
  const float *cosines, *sines;
};

Angles angles(const Rotary& how, int64_t length) {
  thread_local Scratch turn_memory, memory;
  const int64_t half = how.dims / 2;
  double* turns = turn_memory.get<double>(half);
  fill_turns(how, turns);
  float *cosines = memory.get<float>(2 * half * length), *sines = cosines + half * length;
  pool().parallel(length, kLeastItems / (4 * half + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const auto position = static_cast<double>(how.offset + p);
      kernels().cosines_and_sines(turns, position, cosines + p * half, sines + p * half, half);
    }
  });
  return {cosines, sines};
}

// One position of one sequence: the norm and the turn of each head, to float32 queries and to the caches.
class Position {
 public:
  Position(const CachedAttention& a, const Angles& angles, float* queries)
      : a_(a), k_(kernels()), angles_(angles), queries_(queries), row_(memory().get<float>(padded_to_16(a.width))) {}

  void take(int64_t batch, int64_t place) {
    for (int64_t h = 0; h < a_.heads; ++h) {
      float* to = queries_ + ((batch * a_.heads + h) * a_.length + place) * a_.width;
      head(batch, h, place, a_.query_norm, to);
    }
    for (int64_t h = 0; h < a_.kv_heads; ++h) {
      const int64_t at = ((batch * a_.kv_heads + h) * a_.capacity + a_.rotary.offset + place) * a_.width;
      head(batch, a_.heads + h, place, a_.key_norm, row_);
      k_.narrow(row_, a_.keys + at * size_of(a_.key_type), a_.key_type, a_.width);
      a_.qkv.floats(batch, a_.heads + a_.kv_heads + h, place, 1, a_.width, row_, 0);
      k_.narrow(row_, a_.values + at * size_of(a_.value_type), a_.value_type, a_.width);
    }
  }

 private:
  static Scratch& memory() {
    thread_local Scratch scratch;
    return scratch;
  }

  void head(int64_t batch, int64_t index, int64_t place, const float* norm, float* to) const {
    a_.qkv.floats(batch, index, place, 1, a_.width, to, 0);
    if (norm) {
      const float mean = k_.sum_of_squares(to, a_.width) / static_cast<float>(a_.width);
      k_.scale(to, 1 / std::sqrt(mean + a_.eps), norm, to, a_.width);
    }
    const int64_t half = a_.rotary.dims / 2;
    auto turn = a_.rotary.traditional ? k_.rotate_pairs : k_.rotate_halves;
    turn(to, angles_.cosines + place * half, angles_.sines + place * half, to, half);
  }

  const CachedAttention& a_;
  const Kernels& k_;
  const Angles angles_;
  float *queries_, *row_;
};

HeadRows rows_of(const void* data, Element type, int64_t heads, int64_t rows, int64_t width) {
  HeadRows of;
  of.data = static_cast<const char*>(data);
  of.type = type;
  of.width = width;
  of.strides = {heads * rows * width, rows * width, width, 1};
  return of;
}

}  // namespace

void attend_cached(const CachedAttention& a) {
  if (a.batch == 0 || a.length == 0 || a.width == 0) return;
  thread_local Scratch memory;
  float* queries = memory.get<float>(a.batch * a.heads * a.length * a.width);
  const Angles turns = a.rotary.dims ? angles(a.rotary, a.length) : Angles{};
  const int64_t items = (a.heads + 2 * a.kv_heads) * a.width;
  pool().parallel(a.batch * a.length, kLeastItems / (items + 1) + 1, [&](int64_t begin, int64_t end) {
    Position position(a, turns, queries);
    for (int64_t i = begin; i < end; ++i) position.take(i / a.length, i % a.length);
  });
  Attention over{};
  over.batch = a.batch;
  over.heads = a.heads;
  over.kv_heads = a.kv_heads;
  over.queries = a.length;
  over.keys = a.rotary.offset + a.length;
  over.q = rows_of(queries, Element::f32, a.heads, a.length, a.width);
  over.k = rows_of(a.keys, a.key_type, a.kv_heads, a.capacity, a.width);
  over.v = rows_of(a.values, a.value_type, a.kv_heads, a.capacity, a.width);
  over.scale = a.scale;
  over.causal = true;
  over.window = a.window;
  over.out = a.out;
  over.out_type = a.out_type;
  attend(over);
}

}  // namespace tensorlogic
