// Blocks of GGUF from files, rearranged by threads of its own while whoever asked for them does something else, and by
// whoever waits for them.
//
// Takes what the caller keeps until it is done: an open file and the room. Promises that what was asked for first is
// begun first, and that nothing is written after the reader is gone. Its threads are not the pool's, for they wait for
// disks.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "core/blocks.h"

namespace tensorlogic {

class BlockReader {
 public:
  // `count` blocks from byte `place` on of a file by its descriptor, and room as `rearrange` takes it.
  struct Blocks {
    int file;
    BlockType type;
    int64_t place;
    int64_t count;
    uint32_t* words;
    uint16_t* scales;
    uint16_t* biases;
  };

  // Without threads, all is done by who waits.
  explicit BlockReader(int threads);
  // As `close`.
  ~BlockReader();

  // What `rearrange` gives, when it is done. NaN also where the file ends before the blocks do or cannot be read, and
  // for blocks that nobody began before the reader was closed.
  std::future<float> read(const Blocks& blocks);

  // Does what is to be begun next, in the calling thread; false where there is nothing.
  bool help();

  // Drops what no thread began, and waits for what one did.
  void close();

 private:
  struct Task {
    Blocks blocks;
    std::promise<float> largest;
  };

  bool run_next(std::unique_lock<std::mutex> locked);
  void work();

  std::mutex lock_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool closed_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tensorlogic
