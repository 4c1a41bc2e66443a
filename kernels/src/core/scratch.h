// Memory of one thread that kernels use and keep, aligned to a cache line.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <new>
#include <utility>

namespace tensorlogic {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(memory_); }

  // Room for `n` items; what was there before is lost. Throws std::bad_alloc.
  template <class T>
  T* get(int64_t n) {
    auto bytes = (static_cast<size_t>(n) * sizeof(T) + 63) / 64 * 64;
    if (bytes > size_) {
      std::free(memory_);
      size_ = 0;
      memory_ = std::aligned_alloc(64, bytes);
      if (!memory_) throw std::bad_alloc();
      size_ = bytes;
    }
    return static_cast<T*>(memory_);
  }

  // Gives back what is larger than that.
  void keep_at_most(size_t bytes) {
    if (size_ <= bytes) return;
    std::free(std::exchange(memory_, nullptr));
    size_ = 0;
  }

 private:
  void* memory_ = nullptr;
  size_t size_ = 0;
};

// Things with such memory by number, made when they are first asked for and kept: memory that the system has just given
// is slow at its first use, a fault for each page.
template <class Memory>
class Shelf {
 public:
  Memory& operator[](size_t i) {
    while (all_.size() <= i) all_.emplace_back();
    return all_[i];
  }

  auto begin() { return all_.begin(); }
  auto end() { return all_.end(); }

 private:
  std::deque<Memory> all_;
};

}  // namespace tensorlogic
