// The pool under several callers and changes of its size at once, for ThreadSanitizer: `make sanitize` builds and runs
// it. Ends with status 1 where an item was not seen once, or a range does not begin at a multiple of the grain.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "core/pool.h"

namespace {

using tensorlogic::pool;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "pool_races: %s\n", what);
  std::exit(1);
}

void each_item_is_seen_once(int64_t count, int64_t grain) {
  // Plain ints: two threads at one item would be a race.
  std::vector<int> seen(static_cast<size_t>(count), 0);
  pool().parallel(count, grain, [&](int64_t begin, int64_t end) {
    require(begin % grain == 0 && end == std::min(begin + grain, count), "a range that is none");
    for (; begin < end; ++begin) ++seen[static_cast<size_t>(begin)];
  });
  for (int times : seen) require(times == 1, "an item that was not seen once");
}

void call_often(int64_t least) {
  for (int64_t i = 0; i < 4000; ++i) each_item_is_seen_once(least + i % 70, 1 + i % 9);
}

void functions_may_call_the_pool() {
  std::atomic<int64_t> total{0};
  pool().parallel(20, 1, [&](int64_t, int64_t) {
    pool().parallel(30, 4, [&](int64_t begin, int64_t end) { total += end - begin; });
  });
  require(total == 600, "calls inside of calls that lost items");
}

}  // namespace

int main() {
  for (int size : {1, 2, 5}) {
    pool().set_threads(size);
    for (int64_t count : {0, 1, 2, 7, 64, 1000}) {
      for (int64_t grain : {1, 3, 64, 5000}) each_item_is_seen_once(count, grain);
    }
    functions_may_call_the_pool();
  }
  std::atomic<bool> done{false};
  std::vector<std::thread> callers, sizers;
  for (int64_t least : {1, 30, 200}) callers.emplace_back(call_often, least);
  for (int first : {1, 4}) {
    sizers.emplace_back([&done, first] {
      for (int n = first; !done; n = n % 6 + 1) {
        pool().set_threads(n);
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
  }
  for (auto& caller : callers) caller.join();
  done = true;
  for (auto& sizer : sizers) sizer.join();
  std::puts("pool: every item was seen once");
}
