// One pool of threads for every kernel.
//
// Takes: a count of items and a function of a range of them. Promises: the function sees every item once, in ranges
// that begin at multiples of `grain`; which thread gets which range is not fixed, so a kernel's numbers must not depend
// on it. The caller works, too. Workers spin for a few microseconds, since a decoding step has hundreds of short
// kernels, then sleep: an idle program uses no processor time. A second caller at the same time (another stream of MLX)
// does its work alone, and so does a function that calls the pool itself. Functions do not throw; it ends the process.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <type_traits>

namespace tensorlogic {

class Pool {
 public:
  // `f(begin, end)` over 0...count. Ranges hold `grain` items, the last one fewer.
  template <class F>
  void parallel(int64_t count, int64_t grain, F&& f) {
    run(count, grain, [](const void* context, int64_t begin, int64_t end) {
      (*static_cast<const std::remove_reference_t<F>*>(context))(begin, end);
    }, &f);
  }

  // Those at work on a job, the caller included: fewer than were asked for where the machine grants no more.
  int threads() const;
  // From 1 to kMostThreads. Waits for running work. Meant for start-up, tests and measurements.
  void set_threads(int n);

  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

 private:
  friend Pool& pool();
  using Function = void (*)(const void* context, int64_t begin, int64_t end);
  Pool();
  ~Pool() = default;
  void run(int64_t count, int64_t grain, Function f, const void* context);

  struct Team;
  std::atomic<Team*> team_{nullptr};
  std::mutex resizing_;
};

// The process's pool, of as many threads as threads.h says, made at first use and never destroyed: its threads may
// outlive static objects.
Pool& pool();

}  // namespace tensorlogic
