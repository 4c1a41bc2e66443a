#include "primitives/room.h"

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstdint>

#include "mlx/allocator.h"

namespace tensorlogic {

namespace mx = mlx::core;

namespace {

// Above what the C library's allocator takes from memory that was freed: new memory takes nothing until it is written.
constexpr size_t kPieceBytes = 64 << 20;
constexpr size_t kHugePage = 2 << 20;
constexpr size_t kAlignment = 64;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

#ifdef __linux__
// Advice may be refused: then pages are small, or kept longer.
void advise(char* begin, char* end, size_t page, int advice) {
  auto from = round_up(reinterpret_cast<uintptr_t>(begin), page), to = reinterpret_cast<uintptr_t>(end) / page * page;
  if (from < to) madvise(reinterpret_cast<void*>(from), to - from, advice);
}

void ask_for_huge_pages(char* begin, char* end) { advise(begin, end, kHugePage, MADV_HUGEPAGE); }

void give_back(char* begin, char* end) {
  static const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  advise(begin, end, page, MADV_DONTNEED);
}
#else
void ask_for_huge_pages(char*, char*) {}
void give_back(char*, char*) {}
#endif

}  // namespace

struct Room::Piece {
  explicit Piece(size_t bytes) : memory(mx::allocator::malloc(bytes + kHugePage)) {
    char* raw = static_cast<char*>(buffer().raw_ptr());
    begin = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(raw), kHugePage));
    size = raw + bytes + kHugePage - begin;
    ask_for_huge_pages(begin, begin + size);
  }

  mx::allocator::Buffer buffer() const { return memory.buffer(); }

  mx::allocator::Data memory;
  char* begin;
  size_t size;
};

mx::array empty(mx::Shape shape, mx::Dtype dtype) {
  mx::array result(std::move(shape), dtype, nullptr, {});
  result.set_data(mx::allocator::malloc(result.nbytes()));
  result.set_status(mx::array::Status::available);
  return result;
}

mx::array Room::empty(mx::Shape shape, mx::Dtype dtype) {
  mx::array result(std::move(shape), dtype, nullptr, {});
  const size_t bytes = round_up(std::max<size_t>(result.nbytes(), 1), kAlignment);
  std::shared_ptr<Piece> piece = piece_;
  size_t at = taken_;
  if (!piece || piece->size - at < bytes) {
    piece = std::make_shared<Piece>(std::max(bytes, kPieceBytes));
    at = 0;
  }
  if (!piece_ || piece->size - (at + bytes) >= piece_->size - taken_ || piece == piece_) {
    piece_ = piece;
    taken_ = at + bytes;
  }
  char* begin = piece->begin + at;
  auto offset = begin - static_cast<char*>(piece->buffer().raw_ptr());
  mx::allocator::Data data(piece->buffer(), [piece, begin, bytes](mx::allocator::Buffer) { give_back(begin, begin + bytes); });
  mx::Strides strides(result.ndim());
  int64_t step = 1;
  for (size_t d = result.ndim(); d-- > 0; step *= result.shape(static_cast<int>(d))) strides[d] = step;
  result.set_data(std::move(data), result.size(), std::move(strides), {true, true, result.size() <= 1 || result.ndim() == 1},
                  offset);
  result.set_status(mx::array::Status::available);
  return result;
}

}  // namespace tensorlogic
