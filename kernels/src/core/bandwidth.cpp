#include "core/bandwidth.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/blas.h"
#include "core/isa.h"
#include "core/pool.h"
#include "core/scratch.h"

namespace tensorlogic {
namespace {

// As many tries as fit the time, but no fewer than three.
constexpr int kLeastTries = 3, kMostTries = 7;
constexpr double kSeconds = 0.5;
constexpr int64_t kSide = 768;

// The median of the seconds that `work` takes, after a first time that is not counted.
template <class F>
double seconds(F&& work) {
  using Clock = std::chrono::steady_clock;
  work();
  std::vector<double> taken;
  double total = 0;
  for (int i = 0; i < kMostTries && (i < kLeastTries || total < kSeconds); ++i) {
    auto start = Clock::now();
    work();
    taken.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += taken.back();
  }
  auto middle = taken.begin() + static_cast<int64_t>(taken.size() / 2);
  std::nth_element(taken.begin(), middle, taken.end());
  return *middle;
}

int64_t at_most(int threads) {
  int all = pool().threads();
  return threads > 0 ? std::min(threads, all) : all;
}

}  // namespace

double read_bandwidth(int64_t megabytes, int threads) {
  const int64_t parts = at_most(threads);
  // A part is whole cache lines, so that no two threads read one.
  const int64_t each = std::max<int64_t>(megabytes * 1000000 / 4 / parts / 16 * 16, 16);
  Scratch memory;
  float* values = memory.get<float>(parts * each);
  std::vector<float> sums(static_cast<size_t>(parts));
  // Memory is near the thread that writes to it first, and is there only then.
  pool().parallel(parts, 1, [&](int64_t begin, int64_t end) {
    std::fill(values + begin * each, values + end * each, 1.0f);
  });
  double taken = seconds([&] {
    pool().parallel(parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) sums[static_cast<size_t>(i)] = kernels().sum(values + i * each, each);
    });
  });
  return static_cast<double>(parts * each * 4) / taken;
}

double peak_flops(int threads) {
  const int64_t parts = at_most(threads), items = kSide * kSide;
  Scratch memory;
  float* values = memory.get<float>(3 * parts * items);
  std::fill(values, values + 3 * parts * items, 1.0f);
  double taken = seconds([&] {
    pool().parallel(parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* a = values + 3 * i * items;
        sgemm(false, true, kSide, kSide, kSide, a, kSide, a + items, kSide, false, a + 2 * items, kSide);
      }
    });
  });
  return static_cast<double>(2 * kSide * items * parts) / taken;
}

}  // namespace tensorlogic
