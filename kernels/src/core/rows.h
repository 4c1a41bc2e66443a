// Row-wise work: norms, softmax, gated and plain activations, casts.
//
// Takes: rows of floats of any type and any strides. Promises: numbers are float32 on the way and rounded once, to the
// type of the result, whose rows have no gaps and may lie in the memory of an operand that has none and is of the same
// type. A row is computed in one order, a long row of softmax in blocks of a fixed size, so that
// results depend neither on the count of threads nor on the other rows.
#pragma once

#include <cstdint>
#include <vector>

#include "core/element.h"
#include "core/isa.h"
#include "core/pool.h"

namespace tensorlogic {

// The rows along the last dim of an array; a scalar is one row of one item.
class RowView {
 public:
  // Strides count items; they may be 0 or negative.
  RowView(const void* data, Element type, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides);
  // Without gaps.
  RowView(const void* data, Element type, int64_t rows, int64_t width);

  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  bool without_gaps() const { return without_gaps_; }
  // All items as one row; only of rows without gaps.
  RowView joined() const { return {data_, type_, 1, rows_ * width_}; }

  // A row in the array's own memory where it lies there as float32 without gaps, else null.
  const float* in_place(int64_t row) const;
  // Items `begin` to `end` of a row as float32: the array's own memory, or `room` filled.
  const float* floats(int64_t row, int64_t begin, int64_t end, float* room) const;

 private:
  struct Dim {
    int64_t size, stride;
  };
  const char* address(int64_t row, int64_t item) const;

  const char* data_;
  Element type_;
  int64_t rows_, width_, step_;
  bool without_gaps_;
  std::vector<Dim> outer_;  // the dims before the last, those joined that lie one in the other
};

// Where rows without gaps go.
struct RowsOut {
  void* data;
  Element type;

  char* address(int64_t item) const { return static_cast<char*>(data) + item * size_of(type); }
};

// Root mean square norm (Zhang and Sennrich 2019): x / sqrt(mean(x^2) + eps) * weight.
struct Norm {
  bool present = false;
  float eps = 0;
  const float* weight = nullptr;  // may be null
};

enum class Activation : uint8_t { silu, gelu, gelu_tanh };
// What is done to the values that others are multiplied by.
enum class Gate : uint8_t { none, silu, gelu_tanh };

void rms_norm_rows(const RowView& x, const Norm& norm, const RowsOut& to);
// Layer norm (Ba, Kiros and Hinton 2016): (x - mean(x)) / sqrt(var(x) + eps) * weight + bias; both may be null.
void layer_norm_rows(const RowView& x, float eps, const float* weight, const float* bias, const RowsOut& to);
void softmax_rows(const RowView& x, const RowsOut& to);
void activate_rows(const RowView& x, Activation activation, const RowsOut& to);
// activation(gate) * up, of operands of one shape; `gate` is not `none`.
void gated_rows(const RowView& gate, const RowView& up, Gate kind, const RowsOut& to);
// The place of the largest item of each row, the first of equals; -1 where an item is NaN, or infinity meets its
// opposite. Rows have items.
void argmax_rows(const RowView& x, int32_t* to);
// To another type than that of `x`.
void cast_rows(const RowView& x, const RowsOut& to);

// `rows` rows of `width` floats, normalized; `to` may be `x`.
void norm_rows(const float* x, int64_t rows, int64_t width, const Norm& norm, float* to);

// Items that a thread takes at a time in row-wise work: a few microseconds of it.
inline constexpr int64_t kRowWiseItems = 16 * 1024;

// Calls `f(row)` for every row, on all threads.
template <class F>
void each_row(int64_t rows, int64_t width, F&& f) {
  int64_t grain = kRowWiseItems / (width + 1) + 1;
  pool().parallel(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r);
  });
}

// Memory of the calling thread for `n` floats, one for each `slot` of 0 to 2; what was there before is lost. The first
// is that of `map_items`, the last that of `RowView::floats`.
float* row_room(int slot, int64_t n);

// `f(from, to)` on the items `begin` to `end` of a row; the two may be the same.
template <class F>
void map_items(const RowView& x, int64_t row, int64_t begin, int64_t end, const RowsOut& to, F&& f) {
  float* room = row_room(0, end - begin);
  const float* from = x.floats(row, begin, end, room);
  char* result = to.address(row * x.width() + begin);
  if (to.type == Element::f32) {
    f(from, reinterpret_cast<float*>(result));
    return;
  }
  f(from, room);
  kernels().narrow(room, result, to.type, end - begin);
}

}  // namespace tensorlogic
