#include "core/packed.h"

#include <algorithm>
#include <span>
#include <vector>

#include "core/blas.h"
#include "core/dense.h"
#include "core/pool.h"
#include "core/scratch.h"

namespace tensorlogic {
namespace {

// Ranges of rows for each thread when decoding: what a thread prefetches should be its own, so they are long; two of them
// let a thread that is held up give one away. A row's product does not depend on the ranges.
constexpr int64_t kRangesPerThread = 2;
constexpr int64_t kLeastRows = 16;
// Bytes of an expanded tile: with the rows of x it meets, it stays in a core's second-level cache.
constexpr int64_t kTileBytes = 512 * 1024;

// Whether rows that are prepared for one matrix are so for another, of its width.
bool prepared_alike(const PackedMatrix& a, const PackedMatrix& b) { return a.bits == b.bits && a.group == b.group; }

// Rows of x as some of the matrices want them, in memory of the calling thread; `place` counts those of one product.
PreparedRows prepared(const float* x, int64_t x_stride, int m, const PackedMatrix& w, Activations kept, size_t place) {
  struct Memory {
    Scratch floats, sums, codes, steps;
  };
  thread_local Shelf<Memory> memories;
  Memory& own = memories[place];
  const int64_t width = prepared_width(w.width);
  PreparedRows rows;
  rows.count = m;
  rows.kept = kept;
  rows.sums = own.sums.get<float>(m * padded_to_16(w.groups()));
  rows.codes = own.codes.get<int8_t>(m * kDigits * width);
  rows.steps = own.steps.get<float>(m * padded_to_16(w.width / 32));
  rows.x = own.floats.get<float>(m * width);
  kernels().prepare(x, x_stride, w, rows);
  return rows;
}

// The packed ones among the matrices, all their rows as one list.
void few_rows(const float* x, int64_t x_stride, int m, std::span<const PackedMatrix> matrices, Activations kept, float* y,
              int64_t y_stride) {
  struct Part {
    const PackedMatrix& w;
    PreparedRows rows;
    int64_t first, column;  // in the list, and in y
  };
  std::vector<Part> parts;
  int64_t total = 0, column = 0;
  size_t preparations = 0;
  for (const PackedMatrix& w : matrices) {
    if (w.packing != Packing::none) {
      auto known = std::ranges::find_if(parts, [&](const Part& part) { return prepared_alike(part.w, w); });
      parts.push_back({w, known != parts.end() ? known->rows : prepared(x, x_stride, m, w, kept, preparations++), total,
                       column});
      total += w.rows;
    }
    column += w.rows;
  }
  const int64_t ranges = pool().threads() * kRangesPerThread;
  // Whole groups of four, whose sums are taken together.
  const int64_t grain = std::max(kLeastRows, (total / ranges + 3) / 4 * 4);
  pool().parallel(total, grain, [&](int64_t begin, int64_t end) {
    for (const Part& part : parts) {
      const int64_t first = std::max(begin - part.first, int64_t{0}), last = std::min(end - part.first, part.w.rows);
      if (first < last) kernels().multiply(part.rows, part.w, first, last, y + part.column, y_stride);
    }
  });
}

DigitRows digits_of(const float* x, int64_t x_stride, int64_t m, int64_t width, Activations kept) {
  thread_local Scratch codes, steps, sums, lowest;
  const int64_t blocks = width / 32;
  DigitRows rows{};
  rows.count = m;
  rows.digits = kept == Activations::int8 ? 1 : kDigits;
  rows.to_16_bits = kept == Activations::float16;
  rows.stride = width;
  rows.plane = m * width;
  rows.codes = codes.get<int8_t>(rows.digits * rows.plane);
  rows.steps = steps.get<float>(m * blocks);
  rows.sums = sums.get<float>(2 * m * blocks);
  rows.lowest = lowest.get<uint8_t>(m * blocks);
  const Kernels& k = kernels();
  pool().parallel(m, 8, [&](int64_t first, int64_t last) { k.quantize_rows(x, x_stride, first, last, width, rows); });
  return rows;
}

void prefetch(const void* memory, int64_t begin, int64_t end) {
  for (int64_t at = begin; at < end; at += 64) __builtin_prefetch(static_cast<const char*>(memory) + at, 0, 2);
  // GCC takes a function that does nothing else for one without effect, and leaves its calls out.
  asm volatile("");
}

// Asks for the rows `first` to `last` of w, which lie one behind the other.
void prefetch_rows(const PackedMatrix& w, int64_t first, int64_t last) {
  const int64_t bytes = w.row_bytes(), factors = w.groups() * w.scale_bytes();
  prefetch(w.codes, first * bytes, last * bytes);
  prefetch(w.scales, first * factors, last * factors);
  if (w.biases) prefetch(w.biases, first * factors, last * factors);
}

// A tile's rows of w, whose codes meet the digits of all rows of x.
void multiply_tile(const Kernels& k, const DigitRows& rows, const PackedMatrix& w, int64_t index, float* y,
                   int64_t y_stride) {
  thread_local Scratch codes, factors;
  const int64_t first = index * k.tile, last = std::min(first + k.tile, w.rows);
  uint8_t* filled = codes.get<uint8_t>(k.tile * ((w.width + 63) / 64 * 64));
  float* scales = factors.get<float>(2 * k.tile * (w.width / std::min(w.group, 32)));
  // All at once, where they were not asked for before: a tile's rows would be waited for a few at a time.
  prefetch_rows(w, first, last);
  k.fill_codes(w, first, last, filled);
  k.tile_factors(w, first, last, scales);
  // The tile that comes next in this thread, as the threads take turns.
  const int64_t next = first + pool().threads() * k.tile;
  if (next < w.rows) prefetch_rows(w, next, std::min(next + k.tile, w.rows));
  k.multiply_tile(rows, w, last - first, filled, scales, y + first, y_stride);
}

// The packed ones among the matrices, all their tiles as one list.
void many_rows_by_digits(const float* x, int64_t x_stride, int64_t m, std::span<const PackedMatrix> matrices,
                         Activations kept, float* y, int64_t y_stride) {
  const Kernels& k = kernels();
  auto tiles_of = [&](const PackedMatrix& w) {
    return w.packing == Packing::none ? 0 : (w.rows + k.tile - 1) / k.tile;
  };
  int64_t tiles = 0;
  for (const PackedMatrix& w : matrices) tiles += tiles_of(w);
  if (tiles == 0) return;
  const DigitRows rows = digits_of(x, x_stride, m, matrices[0].width, kept);
  pool().parallel(tiles, 1, [&](int64_t first, int64_t last) {
    for (int64_t i = first; i < last; ++i) {
      int64_t index = i, column = 0;
      auto w = matrices.begin();
      for (; index >= tiles_of(*w); ++w) index -= tiles_of(*w), column += w->rows;
      multiply_tile(k, rows, *w, index, y + column, y_stride);
    }
  });
}

void many_rows(const float* x, int64_t x_stride, int64_t m, const PackedMatrix& w, float* y, int64_t y_stride) {
  const Kernels& k = kernels();
  int64_t tile = std::clamp<int64_t>(kTileBytes / (w.width * 4) / 16 * 16, 16, 384);
  pool().parallel(w.rows, tile, [&](int64_t first, int64_t last) {
    thread_local Scratch memory;
    float* expanded = memory.get<float>((last - first) * w.width);
    k.expand(w, first, last, expanded);
    sgemm(false, true, m, last - first, w.width, x, x_stride, expanded, w.width, false, y + first, y_stride);
  });
}

}  // namespace

void packed_products(const float* x, int64_t x_stride, int64_t m, std::span<const PackedMatrix> matrices,
                     Activations kept, float* y, int64_t y_stride) {
  const bool few = m <= kDecodeRows, tiled = !few && kernels().tile;
  if (tiled) many_rows_by_digits(x, x_stride, m, matrices, kept, y, y_stride);
  if (few && m > 0) few_rows(x, x_stride, static_cast<int>(m), matrices, kept, y, y_stride);
  for (const PackedMatrix& w : matrices) {
    if (w.packing == Packing::none) {
      dense_matmul(x, x_stride, m, w.codes, w.scale_type, w.rows, w.width, y, y_stride);
    } else if (!few && !tiled) {
      many_rows(x, x_stride, m, w, y, y_stride);
    }
    y += w.rows;
  }
}

}  // namespace tensorlogic
