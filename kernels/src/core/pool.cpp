#include "core/pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <system_error>
#include <thread>
#include <vector>

#include "core/threads.h"

namespace tensorlogic {
namespace {

// How long a thread spins before it sleeps (a worker that waits for work) or yields (a caller that waits for workers):
// longer than the row-wise work between two products, which the caller does alone; waking a thread takes 10 us and more.
constexpr auto kSpinTime = std::chrono::microseconds(60);

// Spins until `done()` or the time is over; whether it was done. A look costs a few nanoseconds: PAUSE, which gives way
// to a sibling thread, takes 40 and more and made short kernels slower.
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

// While one lives, threads that start take no signals: those are for the program's own threads. What a thread does to
// itself, such as a wrong access to memory, is left to whoever handles it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGPROF}) sigdelset(&all, own);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

// The threads of one size of the pool. A job is published by raising `generation`, on which idle workers sleep, and is
// open until the caller finds no range left. A worker enters an open job, and only those that did are waited for: one
// that the system did not let run in time holds nobody up. What describes a job is written while nobody is inside, and
// read by those who are, so that it needs no lock.
struct Pool::Team {
  explicit Team(int n) {
    SignalsBlocked blocked;
    try {
      while (static_cast<int>(workers.size()) < n - 1) workers.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // The machine grants no more threads; those that are there will do.
    }
    for (auto& worker : workers) pthread_setname_np(worker.native_handle(), "tensorlogic");
  }

  // Nothing runs, and nothing will.
  void dismiss() {
    stopping.store(true);
    generation.fetch_add(1);
    generation.notify_all();
    for (auto& worker : workers) worker.join();
  }

  int size() const { return static_cast<int>(workers.size()) + 1; }

  bool take() { return !busy.exchange(true, std::memory_order_acquire); }
  void leave() { busy.store(false, std::memory_order_release); }

  // An exception here would leave others at work on what its caller takes away.
  void take_ranges() noexcept {
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

  std::vector<std::thread> workers;
  std::atomic<bool> stopping{false}, busy{false};
  Function function = nullptr;
  const void* context = nullptr;
  int64_t count = 0, grain = 1;
  // On lines of their own: one thread's writes must not slow the others' reads.
  alignas(64) std::atomic<uint32_t> generation{0};
  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<uint32_t> inside{0};  // workers in the job, and whether it is open
};

Pool::Pool() {
  if (const char* text = refused_threads()) {
    std::fprintf(stderr, "tensorlogic: TENSORLOGIC_THREADS is a number from 1 to %d, not \"%s\"; it is not used\n",
                 kMostThreads, text);
  }
  team_.store(new Team(thread_limits().threads()));
}

int Pool::threads() const { return team_.load()->size(); }

void Pool::set_threads(int n) {
  std::lock_guard<std::mutex> one(resizing_);
  Team* old = team_.load();
  // It stays taken, and its memory stays: a caller that still holds it finds it busy and works alone.
  while (!old->take()) std::this_thread::yield();
  old->dismiss();
  team_.store(new Team(std::clamp(n, 1, kMostThreads)));
}

void Pool::run(int64_t count, int64_t grain, Function f, const void* context) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  Team& team = *team_.load(std::memory_order_acquire);
  if (team.size() == 1 || count <= grain || !team.take()) {
    for (int64_t begin = 0; begin < count; begin += grain) f(context, begin, std::min(count, begin + grain));
    return;
  }
  team.run(count, grain, f, context);
  team.leave();
}

Pool& pool() {
  static Pool* instance = new Pool;
  return *instance;
}

}  // namespace tensorlogic
