#include "core/pool.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tensorlogic {
namespace {

constexpr int kMostThreads = 1024;
// How long a thread spins before it sleeps (a worker that waits for work) or yields (a caller that waits for workers):
// longer than the row-wise work between two products, which the caller does alone; waking a thread takes 10 us and more.
constexpr auto kSpinTime = std::chrono::microseconds(60);

// The CPU time that the cgroup grants, in processors; 0 where there is no limit. Versions 2 and 1 of the interface.
double cgroup_processors() {
  double least = 0;
  auto note = [&](double quota, double period) {
    if (quota > 0 && period > 0) {
      double n = quota / period;
      least = least == 0 ? n : std::min(least, n);
    }
  };
  std::ifstream membership("/proc/self/cgroup");
  for (std::string line; std::getline(membership, line);) {
    auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    // A limit holds for everything below it.
    for (;;) {
      if (controllers.empty()) {
        std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
        std::string quota;
        double period = 0;
        if (file >> quota >> period && quota != "max") note(std::atof(quota.c_str()), period);
      } else if (("," + controllers + ",").find(",cpu,") != std::string::npos) {
        double quota = 0, period = 0;
        std::ifstream q("/sys/fs/cgroup/cpu" + path + "/cpu.cfs_quota_us");
        std::ifstream p("/sys/fs/cgroup/cpu" + path + "/cpu.cfs_period_us");
        if (q >> quota && p >> period) note(quota, period);
      }
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  return least;
}

// Spins until `done()` or the time is over; whether it was done. A look costs a few nanoseconds: PAUSE, which gives way to
// a sibling thread, takes 40 and more and made short kernels slower.
template <class Done>
bool spin(Done&& done) {
  auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      asm volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::: "memory");
    }
  } while (std::chrono::steady_clock::now() - start < kSpinTime);
  return false;
}

}  // namespace

int usable_threads() {
  if (const char* given = std::getenv("TENSORLOGIC_THREADS"); given && *given) {
    char* end = nullptr;
    long n = std::strtol(given, &end, 10);
    if (*end == 0 && n >= 1 && n <= kMostThreads) return static_cast<int>(n);
    std::fprintf(stderr, "tensorlogic: TENSORLOGIC_THREADS is a number from 1 to %d, not \"%s\"; it is not used\n",
                 kMostThreads, given);
  }
  int n = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) n = std::max(1, CPU_COUNT(&allowed));
  if (double granted = cgroup_processors(); granted > 0) {
    n = std::min(n, std::max(1, static_cast<int>(std::ceil(granted))));
  }
  return std::min(n, kMostThreads);
}

// The threads of one size of the pool. A job is published by raising `generation`, on which idle workers sleep, and is
// open until the caller finds no range left. A worker enters an open job, and only those that did are waited for: one that
// the system did not let run in time holds nobody up.
struct Pool::Team {
  explicit Team(int n) : size(n) {
    for (int i = 1; i < n; ++i) workers.emplace_back([this] { work(); });
  }

  ~Team() {
    stopping.store(true);
    generation.fetch_add(1);
    generation.notify_all();
    for (auto& worker : workers) worker.join();
  }

  void take_ranges() {
    for (;;) {
      int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) return;
      function(context, begin, std::min(count, begin + grain));
    }
  }

  bool enter() {
    uint32_t now = inside.load(std::memory_order_relaxed);
    while (now & kOpen) {
      if (inside.compare_exchange_weak(now, now + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }

  void work() {
    uint32_t seen = 0;
    for (;;) {
      auto called = [&] { return generation.load(std::memory_order_acquire) != seen; };
      if (!spin(called)) generation.wait(seen, std::memory_order_acquire);
      seen = generation.load(std::memory_order_acquire);
      if (stopping.load()) return;
      if (!enter()) continue;
      take_ranges();
      inside.fetch_sub(1, std::memory_order_release);
    }
  }

  void run(int64_t n, int64_t of, Function f, const void* with) {
    count = n, grain = of, function = f, context = with;
    next.store(0, std::memory_order_relaxed);
    inside.store(kOpen, std::memory_order_release);
    generation.fetch_add(1, std::memory_order_release);
    generation.notify_all();
    take_ranges();
    inside.fetch_and(~kOpen, std::memory_order_relaxed);
    auto finished = [&] { return inside.load(std::memory_order_acquire) == 0; };
    while (!spin(finished)) std::this_thread::yield();
  }

  static constexpr uint32_t kOpen = 1u << 31;

  const int size;
  std::vector<std::thread> workers;
  std::mutex busy;
  std::atomic<bool> stopping{false};
  Function function = nullptr;
  const void* context = nullptr;
  int64_t count = 0, grain = 1;
  // On lines of their own: one thread's writes must not slow the others' reads.
  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<uint32_t> inside{0};  // workers in the job, and whether it is open
};

Pool::Pool() : team_(new Team(usable_threads())) {}

int Pool::threads() const { return team_->size; }

void Pool::set_threads(int n) {
  n = std::clamp(n, 1, kMostThreads);
  Team* old = team_;
  {
    std::lock_guard<std::mutex> idle(old->busy);
    team_ = new Team(n);
  }
  delete old;
}

void Pool::run(int64_t count, int64_t grain, Function f, const void* context) {
  if (count <= 0) return;
  Team& team = *team_;
  if (team.size == 1 || count <= grain || !team.busy.try_lock()) {
    for (int64_t begin = 0; begin < count; begin += grain) f(context, begin, std::min(count, begin + grain));
    return;
  }
  std::lock_guard<std::mutex> held(team.busy, std::adopt_lock);
  team.run(count, grain, f, context);
}

Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

}  // namespace tensorlogic
