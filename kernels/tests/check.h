// What the tests stand on: a count of what failed, where in the tests it was, memory that ends where it may be read to,
// random numbers, and numbers in other formats by arithmetic of their own.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "core/element.h"

namespace tensorlogic::tests {

// Unit roundoff of float32.
inline constexpr double kHalfUlp = 0x1p-24;

extern int64_t checks, failures;

// What is being tested, for messages: also that of a crash.
[[gnu::format(printf, 1, 2)]] void testing(const char* format, ...);
// Counts, and prints the message where `right` is not true.
[[gnu::format(printf, 2, 3)]] void expect(bool right, const char* format, ...);
// A bad access ends the program with what was being tested.
void report_crashes();

// |got - wanted| <= bound; infinities and NaN must be the same ones.
bool close(double got, double wanted, double bound);
// The same bits, or NaN both.
bool same(float a, float b);

// `n` items that end `tail` bytes before a page that may be neither read nor written. What lies before them is watched.
template <class T>
class Guarded {
 public:
  explicit Guarded(int64_t n, int64_t tail = 0) : n_(n) {
    const int64_t page = sysconf(_SC_PAGESIZE), bytes = n * static_cast<int64_t>(sizeof(T)) + tail;
    before_ = (bytes + page - 1) / page * page - bytes + page;
    size_ = before_ + bytes + page;
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS;
    void* memory = mmap(nullptr, static_cast<size_t>(size_), PROT_READ | PROT_WRITE, kind, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    memory_ = static_cast<uint8_t*>(memory);
    std::memset(memory_, kMark, static_cast<size_t>(before_ + bytes));
    mprotect(memory_ + before_ + bytes, static_cast<size_t>(page), PROT_NONE);
  }
  Guarded(const std::vector<T>& items, int64_t tail = 0) : Guarded(static_cast<int64_t>(items.size()), tail) {
    if (n_) std::memcpy(data(), items.data(), items.size() * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() {
    bool intact = true;
    for (int64_t i = 0; i < before_; ++i) intact &= memory_[i] == kMark;
    expect(intact, "memory before an array was written");
    munmap(memory_, static_cast<size_t>(size_));
  }

  T* data() { return reinterpret_cast<T*>(memory_ + before_); }
  const T* data() const { return reinterpret_cast<const T*>(memory_ + before_); }
  operator T*() { return data(); }
  operator const T*() const { return data(); }
  int64_t size() const { return n_; }
  // Whether item `i` was never written.
  bool untouched(int64_t i) const {
    T mark;
    std::memset(&mark, kMark, sizeof mark);
    return std::memcmp(data() + i, &mark, sizeof mark) == 0;
  }

 private:
  static constexpr uint8_t kMark = 0xa5;
  int64_t n_, before_ = 0, size_ = 0;
  uint8_t* memory_ = nullptr;
};

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint32_t bits() { return static_cast<uint32_t>(engine_() >> 32); }
  // From `low` to `high`, both included.
  int integer(int low, int high) { return low + static_cast<int>(bits() % static_cast<uint32_t>(high - low + 1)); }
  float uniform(float low, float high) { return low + (high - low) * (static_cast<float>(bits() >> 8) * 0x1p-24f); }
  // About normal: the sum of twelve less its mean.
  float normal() {
    float total = -6;
    for (int i = 0; i < 12; ++i) total += uniform(0, 1);
    return total;
  }
  std::vector<float> normals(int64_t n) {
    std::vector<float> items(static_cast<size_t>(n));
    for (float& x : items) x = normal();
    return items;
  }

 private:
  std::mt19937_64 engine_;
};

float from_bits(uint32_t bits);
uint32_t to_bits(float x);

// Of float16 (5 bits of exponent, 10 of fraction) and bfloat16 (8 and 7) by the definition of their digits.
double value_of(uint16_t bits, Element e);
uint16_t nearest(double x, Element e);

}  // namespace tensorlogic::tests
