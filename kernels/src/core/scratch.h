// Memory of one thread that kernels use and keep, aligned to a cache line.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

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

 private:
  void* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tensorlogic
