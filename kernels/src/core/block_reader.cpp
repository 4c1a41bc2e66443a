#include "core/block_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>

namespace tensorlogic {
namespace {

// What is read at once stays in a core's second cache.
constexpr int64_t kPieceBytes = 1 << 18;
constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

bool fill(int file, int64_t place, uint8_t* to, int64_t bytes) {
  while (bytes > 0) {
    const auto read = pread(file, to, static_cast<size_t>(bytes), place);
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) return false;
    to += read, place += read, bytes -= read;
  }
  return true;
}

float rearranged(const BlockReader::Blocks& all) {
  thread_local std::vector<uint8_t> piece(kPieceBytes);
  const int64_t at_once = kPieceBytes / all.type.bytes();
  float largest = 0;
  for (int64_t begin = 0; begin < all.count; begin += at_once) {
    const int64_t count = std::min(at_once, all.count - begin);
    if (!fill(all.file, all.place + begin * all.type.bytes(), piece.data(), count * all.type.bytes())) return kNone;
    const float found = rearrange(all.type, piece.data(), count, all.words + begin * all.type.words(),
                                  all.scales + begin, all.biases + begin);
    if (std::isnan(found)) return kNone;
    largest = std::max(largest, found);
  }
  return largest;
}

}  // namespace

BlockReader::BlockReader(int threads) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

BlockReader::~BlockReader() { close(); }

std::future<float> BlockReader::read(const Blocks& blocks) {
  Task task{blocks, {}};
  auto result = task.largest.get_future();
  {
    std::lock_guard locked(lock_);
    if (!closed_) {
      tasks_.push_back(std::move(task));
      changed_.notify_one();
      return result;
    }
  }
  task.largest.set_value(kNone);
  return result;
}

void BlockReader::close() {
  std::deque<Task> dropped;
  {
    std::lock_guard locked(lock_);
    closed_ = true;
    dropped.swap(tasks_);
  }
  changed_.notify_all();
  for (Task& task : dropped) task.largest.set_value(kNone);
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool BlockReader::help() { return run_next(std::unique_lock(lock_)); }

bool BlockReader::run_next(std::unique_lock<std::mutex> locked) {
  if (tasks_.empty()) return false;
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  locked.unlock();
  task.largest.set_value(rearranged(task.blocks));
  return true;
}

void BlockReader::work() {
  for (bool goes_on = true; goes_on;) {
    std::unique_lock locked(lock_);
    changed_.wait(locked, [this] { return closed_ || !tasks_.empty(); });
    goes_on = run_next(std::move(locked));
  }
}

}  // namespace tensorlogic
