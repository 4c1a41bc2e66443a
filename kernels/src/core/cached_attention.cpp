#include "core/cached_attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/isa.h"
#include "core/pool.h"
#include "core/scratch.h"

namespace tensorlogic {
namespace {

// Items that are worth a thread's waking.
constexpr int64_t kLeastItems = 8 * 1024;

// Cosines and sines of `length` positions from `offset` on, [length, dims / 2]. All layers of a model ask for the same
// ones, so the last few tables are kept.
struct AngleTable {
  RotaryAngles how;
  std::vector<float> freqs;
  int64_t offset = 0, length = 0;
  std::vector<float> cosines, sines;

  bool is_for(const RotaryAngles& other, int64_t from, int64_t count) const {
    const auto half = static_cast<size_t>(other.dims / 2);
    return how.dims == other.dims && how.base == other.base && how.scale == other.scale && offset == from &&
           length == count && freqs.size() == (other.freqs ? half : 0) &&
           std::equal(freqs.begin(), freqs.end(), other.freqs);
  }

  void fill(const RotaryAngles& of, int64_t from, int64_t count) {
    const int64_t half = of.dims / 2;
    how = of;
    offset = from;
    length = count;
    freqs.assign(of.freqs, of.freqs ? of.freqs + half : of.freqs);
    cosines.resize(static_cast<size_t>(half * count));
    sines.resize(cosines.size());
    std::vector<double> turns(static_cast<size_t>(half));
    for (int64_t i = 0; i < half; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(of.dims);
      turns[static_cast<size_t>(i)] = of.scale * (of.freqs ? 1.0 / of.freqs[i] : std::pow(of.base, exponent));
    }
    pool().parallel(count, kLeastItems / (64 * half) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin * half; at < end * half; ++at) {
        const double angle = static_cast<double>(from + at / half) * turns[static_cast<size_t>(at % half)];
        cosines[static_cast<size_t>(at)] = static_cast<float>(std::cos(angle));
        sines[static_cast<size_t>(at)] = static_cast<float>(std::sin(angle));
      }
    });
  }
};

const AngleTable& angles(const RotaryAngles& how, int64_t offset, int64_t length) {
  thread_local std::array<AngleTable, 4> tables;
  thread_local size_t next = 0;
  for (const AngleTable& table : tables) {
    if (table.is_for(how, offset, length)) return table;
  }
  AngleTable& table = tables[next];
  next = (next + 1) % tables.size();
  table.fill(how, offset, length);
  return table;
}

void turn(float* x, const float* cosines, const float* sines, int64_t half, bool traditional) {
  const int64_t step = traditional ? 2 : 1, apart = traditional ? 1 : half;
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i * step], b = x[i * step + apart];
    x[i * step] = a * cosines[i] - b * sines[i];
    x[i * step + apart] = a * sines[i] + b * cosines[i];
  }
}

// One position of one sequence: the norm and the turn of each head, to float32 queries and to the caches.
class Position {
 public:
  Position(const CachedAttention& a, const AngleTable* angles, float* queries)
      : a_(a), k_(kernels()), angles_(angles), queries_(queries), row_(memory().get<float>(padded_to_16(a.width))) {}

  void take(int64_t batch, int64_t place) {
    for (int64_t h = 0; h < a_.heads; ++h) {
      float* to = queries_ + ((batch * a_.heads + h) * a_.length + place) * a_.width;
      head(batch, h, place, a_.query_norm, to);
    }
    for (int64_t h = 0; h < a_.kv_heads; ++h) {
      const int64_t at = ((batch * a_.kv_heads + h) * a_.capacity + a_.offset + place) * a_.width;
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
    if (!angles_) return;
    const int64_t half = a_.rotary.dims / 2;
    const auto at = static_cast<size_t>(place * half);
    turn(to, &angles_->cosines[at], &angles_->sines[at], half, a_.rotary.traditional);
  }

  const CachedAttention& a_;
  const Kernels& k_;
  const AngleTable* angles_;
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
  const AngleTable* table = a.rotary.dims ? &angles(a.rotary, a.offset, a.length) : nullptr;
  const int64_t items = (a.heads + 2 * a.kv_heads) * a.width;
  pool().parallel(a.batch * a.length, kLeastItems / (items + 1) + 1, [&](int64_t begin, int64_t end) {
    Position position(a, table, queries);
    for (int64_t i = begin; i < end; ++i) position.take(i / a.length, i % a.length);
  });
  Attention over{};
  over.batch = a.batch;
  over.heads = a.heads;
  over.kv_heads = a.kv_heads;
  over.queries = a.length;
  over.keys = a.offset + a.length;
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
