#include "core/dense.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/blas.h"
#include "core/isa.h"
#include "core/pool.h"
#include "core/scratch.h"

namespace tensorlogic {
namespace {

// Up to here the loops of isa/dense.inl are faster than OpenBLAS, whose blocks are made for more rows.
constexpr int64_t kFewRows = 16;
// For shorter sums, adding up the items of vectors costs more than OpenBLAS's blocks.
constexpr int64_t kLeastDots = 96;
// Sides of a tile that OpenBLAS gets: it is within a few percent of its best, and there are tiles for several threads.
constexpr int64_t kTileSide = 256;
// Items of a copied block: it stays in a core's second-level cache, or nearly.
constexpr int64_t kBlockItems = 256 * 1024;
// Of few rows' matrix, the bytes that a thread takes at a time.
constexpr int64_t kFewBytes = 64 * 1024;
// Work in nanoseconds that is worth another thread.
constexpr int64_t kGrainNanoseconds = 5000;

struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};

MatrixView transposed(MatrixView v) {
  std::swap(v.row_stride, v.column_stride);
  return v;
}

// (a @ b).T = b.T @ a.T
DenseProduct transposed(DenseProduct p) {
  std::swap(p.m, p.n);
  std::swap(p.a, p.b);
  p.a = transposed(p.a);
  p.b = transposed(p.b);
  p.addend = transposed(p.addend);
  std::swap(p.c_row_stride, p.c_column_stride);
  for (DenseBatch& batch : p.batches) std::swap(batch.a_stride, batch.b_stride);
  return p;
}

// The item at a row and a column.
const char* at(const MatrixView& v, int64_t row, int64_t column) {
  return static_cast<const char*>(v.data) + (row * v.row_stride + column * v.column_stride) * size_of(v.element);
}

int64_t parts_of(int64_t size, int64_t most) { return (size + most - 1) / most; }

// The size of equal parts of `size`: at most `most`, rounded up to a multiple of `multiple`, which divides `most`.
int64_t part_of(int64_t size, int64_t most, int64_t multiple) {
  return parts_of(parts_of(size, parts_of(size, most)), multiple) * multiple;
}

// Joins dims of the batch that lie evenly, and makes rows of a of those that share b: one large product.
void fold(DenseProduct& p) {
  std::vector<DenseBatch> joined;
  for (const DenseBatch& inner : p.batches) {
    if (inner.count == 1) continue;
    if (!joined.empty()) {
      DenseBatch& outer = joined.back();
      if (outer.a_stride == inner.a_stride * inner.count && outer.b_stride == inner.b_stride * inner.count &&
          outer.addend_stride == inner.addend_stride * inner.count) {
        outer = {outer.count * inner.count, inner.a_stride, inner.b_stride, inner.addend_stride};
        continue;
      }
    }
    joined.push_back(inner);
  }
  while (!joined.empty()) {
    const DenseBatch& inner = joined.back();
    bool follow = p.m == 1 || (inner.a_stride == p.a.row_stride * p.m &&
                               inner.addend_stride == p.addend.row_stride * p.m);
    if (inner.b_stride != 0 || !follow) break;
    if (p.m == 1) {
      p.a.row_stride = inner.a_stride;
      p.addend.row_stride = inner.addend_stride;
    }
    p.m *= inner.count;
    joined.pop_back();
  }
  p.batches = std::move(joined);
}

// Part of a matrix as float32: rows of it, or under `transposed` columns, `stride` apart.
struct Block {
  const float* data;
  int64_t stride;
  bool transposed;
};

// Whether BLAS takes the matrix [rows, columns] as it lies, with rows as its rows.
bool is_rows(const MatrixView& v, int64_t rows, int64_t columns) {
  return v.element == Element::f32 && (columns == 1 || v.column_stride == 1) &&
         (rows == 1 || (v.row_stride >= columns && v.row_stride <= std::numeric_limits<int>::max()));
}

bool for_blas(const MatrixView& v, int64_t rows, int64_t columns) {
  return is_rows(v, rows, columns) || is_rows(transposed(v), columns, rows);
}

void copy_block(const MatrixView& v, Range rows, Range columns, float* to, int64_t stride) {
  const Kernels& k = kernels();
  for (int64_t r = rows.begin; r < rows.end; ++r, to += stride) {
    const char* from = at(v, r, columns.begin);
    v.column_stride == 1 ? k.widen(from, v.element, to, columns.size())
                         : k.gather(from, v.element, v.column_stride, to, columns.size());
  }
}

Block copied(const MatrixView& v, Range rows, Range columns, Scratch& memory) {
  float* to = memory.get<float>(rows.size() * columns.size());
  copy_block(v, rows, columns, to, columns.size());
  return {to, columns.size(), false};
}

// Of the matrix [height, width].
Block block_for_blas(const MatrixView& v, int64_t height, int64_t width, Range rows, Range columns, Scratch& memory) {
  auto in_place = reinterpret_cast<const float*>(at(v, rows.begin, columns.begin));
  if (is_rows(v, height, width)) return {in_place, height == 1 ? width : v.row_stride, false};
  if (is_rows(transposed(v), width, height)) return {in_place, width == 1 ? height : v.column_stride, true};
  if (v.row_stride != 1) return copied(v, rows, columns, memory);
  Block block = copied(transposed(v), columns, rows, memory);
  block.transposed = true;
  return block;
}

// How few rows meet the matrix b: along the sums, across them, or in a copy.
enum class Reading : uint8_t { dots, combine, copy };

Reading reading_of(const MatrixView& b) {
  return b.row_stride == 1 ? Reading::dots : b.column_stride == 1 ? Reading::combine : Reading::copy;
}

bool is_few(const DenseProduct& p) {
  return p.m <= kFewRows && (p.k >= kLeastDots || reading_of(p.b) == Reading::combine);
}

struct Plan {
  bool few, x_copied;
  Reading reading;
  int64_t tile_m, tile_n, tile_k, rows_of_tiles, columns_of_tiles;

  int64_t tiles() const { return rows_of_tiles * columns_of_tiles; }
};

Plan plan_of(const DenseProduct& p) {
  Plan plan{};
  plan.few = is_few(p);
  bool copies;
  if (plan.few) {
    plan.x_copied = p.a.element != Element::f32 || (p.a.column_stride != 1 && p.k > 1);
    plan.reading = reading_of(p.b);
    plan.tile_m = p.m;
    // Long stretches of rows where the matrix is read across them.
    int64_t column_bytes = size_of(p.b.element) * std::max<int64_t>(p.k, 1);
    int64_t most = plan.reading == Reading::combine ? std::clamp<int64_t>(p.n / 16 / 64 * 64, 256, 2048)
                                                    : std::clamp<int64_t>(kFewBytes / column_bytes / 4 * 4, 4, 1024);
    plan.tile_n = part_of(p.n, most, 4);
    copies = plan.x_copied || plan.reading == Reading::copy;
  } else {
    plan.tile_m = part_of(p.m, kTileSide, 16);
    plan.tile_n = part_of(p.n, kTileSide, 16);
    copies = !for_blas(p.a, p.m, p.k) || !for_blas(p.b, p.k, p.n);
  }
  int64_t most = kBlockItems / std::max(plan.tile_m, plan.tile_n) / 16 * 16;
  plan.tile_k = copies && p.k > 0 ? part_of(p.k, most, 16) : p.k;
  plan.rows_of_tiles = parts_of(p.m, plan.tile_m);
  plan.columns_of_tiles = parts_of(p.n, plan.tile_n);
  return plan;
}

// c (+)= the product of some rows of a with some columns of b, of the items `inner` of their sums.
void few_rows(const DenseProduct& p, const Plan& plan, Range columns, Range inner, bool accumulate, float* c,
              int64_t c_stride) {
  thread_local Scratch a_memory, b_memory;
  const Kernels& k = kernels();
  Block a{static_cast<const float*>(p.a.data) + inner.begin, p.a.row_stride, false};
  if (plan.x_copied) a = copied(p.a, {0, p.m}, inner, a_memory);
  FewRows few{};
  few.x = a.data;
  few.x_stride = a.stride;
  few.m = static_cast<int>(p.m);
  few.k = inner.size();
  few.n = columns.size();
  few.y = c;
  few.y_stride = c_stride;
  few.accumulate = accumulate;
  if (plan.reading == Reading::copy) {
    Block b = copied(transposed(p.b), columns, inner, b_memory);
    few.w = b.data;
    few.element = Element::f32;
    few.w_stride = b.stride;
    return k.dense_dots(few);
  }
  few.w = at(p.b, inner.begin, columns.begin);
  few.element = p.b.element;
  bool dots = plan.reading == Reading::dots;
  few.w_stride = dots ? p.b.column_stride : p.b.row_stride;
  dots ? k.dense_dots(few) : k.dense_combine(few);
}

void many_rows(const DenseProduct& p, Range rows, Range columns, Range inner, bool accumulate, float* c,
               int64_t c_stride) {
  thread_local Scratch a_memory, b_memory;
  Block a = block_for_blas(p.a, p.m, p.k, rows, inner, a_memory);
  Block b = block_for_blas(p.b, p.k, p.n, inner, columns, b_memory);
  sgemm(a.transposed, b.transposed, rows.size(), columns.size(), inner.size(), a.data, a.stride, b.data, b.stride,
        accumulate, c, c_stride);
}

// Rows of `from`, `stride` items apart, as columns of `to`.
template <class T>
void put_columns(const T* from, int64_t stride, int64_t rows, int64_t columns, T* to, int64_t column_stride) {
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r) to[c * column_stride + r] = from[r * stride + c];
  }
}

// Rounds a tile, rows without gaps, to where the result begins.
void put(const DenseProduct& p, const float* c, int64_t rows, int64_t columns, void* to) {
  thread_local Scratch memory;
  const Kernels& k = kernels();
  if (p.c_column_stride == 1) {
    const int64_t row_bytes = p.c_row_stride * size_of(p.c_element);
    for (int64_t r = 0; r < rows; ++r) {
      k.narrow(c + r * columns, static_cast<char*>(to) + r * row_bytes, p.c_element, columns);
    }
  } else if (p.c_element == Element::f32) {
    put_columns(c, columns, rows, columns, static_cast<float*>(to), p.c_column_stride);
  } else {
    uint16_t* narrowed = memory.get<uint16_t>(rows * columns);
    k.narrow(c, narrowed, p.c_element, rows * columns);
    put_columns(narrowed, columns, rows, columns, static_cast<uint16_t*>(to), p.c_column_stride);
  }
}

// The matrices of one product of the batch.
DenseProduct member(const DenseProduct& p, int64_t index) {
  DenseProduct one{p.m, p.n, p.k, p.a, p.b, p.addend, p.c, p.c_element, p.c_row_stride, p.c_column_stride, {}};
  one.c = static_cast<char*>(p.c) + index * p.m * p.n * size_of(p.c_element);
  auto move = [](MatrixView& v, int64_t items) {
    if (v.data) v.data = static_cast<const char*>(v.data) + items * size_of(v.element);
  };
  for (auto batch = p.batches.rbegin(); batch != p.batches.rend(); ++batch) {
    int64_t place = index % batch->count;
    index /= batch->count;
    move(one.a, place * batch->a_stride);
    move(one.b, place * batch->b_stride);
    move(one.addend, place * batch->addend_stride);
  }
  return one;
}

void tile(const DenseProduct& p, const Plan& plan, int64_t index) {
  int64_t row = index / plan.columns_of_tiles * plan.tile_m, column = index % plan.columns_of_tiles * plan.tile_n;
  Range rows{row, std::min(p.m, row + plan.tile_m)}, columns{column, std::min(p.n, column + plan.tile_n)};
  char* to = static_cast<char*>(p.c) + (row * p.c_row_stride + column * p.c_column_stride) * size_of(p.c_element);
  const bool in_place = p.c_element == Element::f32 && p.c_column_stride == 1;
  thread_local Scratch memory;
  float* c = in_place ? reinterpret_cast<float*>(to) : memory.get<float>(rows.size() * columns.size());
  const int64_t stride = in_place ? p.c_row_stride : columns.size();
  bool accumulate = p.addend.data != nullptr;
  if (accumulate) {
    copy_block(p.addend, rows, columns, c, stride);
  } else if (p.k == 0) {
    for (int64_t r = 0; r < rows.size(); ++r) std::fill_n(c + r * stride, columns.size(), 0.0f);
  }
  for (int64_t k = 0; k < p.k; k += plan.tile_k, accumulate = true) {
    Range inner{k, std::min(p.k, k + plan.tile_k)};
    plan.few ? few_rows(p, plan, columns, inner, accumulate, c, stride)
             : many_rows(p, rows, columns, inner, accumulate, c, stride);
  }
  if (!in_place) put(p, c, rows.size(), columns.size(), to);
}

// A guess, from two threads' share of what was measured: 16 bytes read and 48 products summed in a nanosecond.
int64_t nanoseconds(const DenseProduct& p, const Plan& plan) {
  int64_t read = plan.few ? plan.tile_n * p.k * size_of(p.b.element) / 16 : 0;
  return 100 + read + plan.tile_m * plan.tile_n / 16 * p.k / 3;
}

}  // namespace

void dense_product(DenseProduct p) {
  int64_t count = 1;
  for (const DenseBatch& batch : p.batches) count *= batch.count;
  if (count == 0 || p.m == 0 || p.n == 0) return;
  fold(p);
  if (p.n < p.m) {
    if (DenseProduct few = transposed(p); is_few(few)) p = std::move(few);
  }
  count = 1;
  for (const DenseBatch& batch : p.batches) count *= batch.count;
  const Plan plan = plan_of(p);
  const int64_t tiles = plan.tiles(), grain = std::max<int64_t>(1, kGrainNanoseconds / nanoseconds(p, plan));
  pool().parallel(count * tiles, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) tile(p.batches.empty() ? p : member(p, i / tiles), plan, i % tiles);
  });
}

void dense_matmul(const float* x, int64_t x_stride, int64_t m, const void* w, Element element, int64_t rows,
                  int64_t width, float* y, int64_t y_stride) {
  const MatrixView rows_of_x{x, Element::f32, x_stride, 1}, w_transposed{w, element, 1, width};
  dense_product({m, rows, width, rows_of_x, w_transposed, {}, y, Element::f32, y_stride});
}

}  // namespace tensorlogic
