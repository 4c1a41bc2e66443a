#include "core/rotary.h"

#include <algorithm>
#include <cmath>

#include "core/scratch.h"

namespace tensorlogic {
namespace {

constexpr double kQuarterTurn = 1.57079632679489661923;
// Sines that a thread computes at a time, and items that it turns by them.
constexpr int64_t kSines = 1024, kItems = 128 * 1024;

}  // namespace

// A power of the base comes from the one before: after 1,000 factors that is still right to 1e-12.
void fill_turns(const Rotary& how, double* turns) {
  const int64_t half = how.dims / 2;
  const double unit = how.scale / kQuarterTurn;
  if (how.freqs) {
    for (int64_t i = 0; i < half; ++i) turns[i] = unit / how.freqs[i];
    return;
  }
  const double ratio = std::exp(-std::log(static_cast<double>(how.base)) / static_cast<double>(half));
  double turn = unit;
  for (int64_t i = 0; i < half; ++i, turn *= ratio) turns[i] = turn;
}

void rotate_rows(const RowView& x, int64_t length, const Rotary& how, const RowsOut& to) {
  if (x.rows() == 0) return;
  const Kernels& k = kernels();
  const int64_t half = how.dims / 2, width = x.width(), others = x.rows() / length;
  thread_local Scratch turn_memory;
  double* turns = turn_memory.get<double>(half);
  fill_turns(how, turns);
  // A task is a block of positions of a block of the other rows, which share sines and cosines.
  const int64_t positions = std::clamp<int64_t>(kSines / half, 1, length);
  const int64_t block = std::clamp<int64_t>(kItems / (positions * width), 1, others);
  const int64_t across = (length + positions - 1) / positions, tasks = across * ((others + block - 1) / block);
  auto turn = how.traditional ? k.rotate_pairs : k.rotate_halves;
  auto task = [&](int64_t i) {
    const int64_t first = i % across * positions, last = std::min(first + positions, length);
    const int64_t begin = i / across * block, end = std::min(begin + block, others);
    float* cosines = row_room(1, 2 * half * positions);
    float* sines = cosines + half * positions;
    for (int64_t p = first; p < last; ++p) {
      const int64_t at = (p - first) * half;
      k.cosines_and_sines(turns, static_cast<double>(how.offset + p), cosines + at, sines + at, half);
    }
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t p = first; p < last; ++p) {
        const int64_t row = o * length + p, at = (p - first) * half;
        map_items(x, row, 0, width, to, [&](const float* from, float* result) {
          turn(from, cosines + at, sines + at, result, half);
          if (from != result) std::copy(from + how.dims, from + width, result + how.dims);
        });
      }
    }
  };
  pool().parallel(tasks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) task(i);
  });
}

}  // namespace tensorlogic
