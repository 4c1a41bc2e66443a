// Room for the weights of a model: arrays side by side in pieces of memory that the system is asked to give in huge
// pages (transparent ones of Linux, where they are allowed on request). Weights are read from end to end for every token,
// and a small page ends what the processor fetches ahead: with huge ones Gemma 3 270M decodes a fifth faster.
//
// Takes: shapes and types. Promises: an array aligned to 64 bytes, filled with anything, in no memory that was not asked
// for before the first byte is written; what a freed array took is the system's again at once, but for what shares a
// page with its neighbours. A piece goes with its last array, once the room is used for another or gone. Throws
// std::bad_alloc, and what MLX's allocator throws.
#pragma once

#include <memory>

#include "mlx/array.h"

namespace tensorlogic {

// An array in memory of its own, of which nothing is taken before it is written where it is large, in small pages.
mlx::core::array empty(mlx::core::Shape shape, mlx::core::Dtype dtype);

class Room {
 public:
  mlx::core::array empty(mlx::core::Shape shape, mlx::core::Dtype dtype);

 private:
  struct Piece;
  // The one with most room left, and how much of it is taken.
  std::shared_ptr<Piece> piece_;
  size_t taken_ = 0;
};

}  // namespace tensorlogic
