#include "core/rows.h"

#include <algorithm>
#include <cmath>

#include "core/scratch.h"

namespace tensorlogic {
namespace {

// Items of a row that item-wise work takes at a time: they stay in the first cache.
constexpr int64_t kBlock = 4096;
// Items whose exponentials are summed on their own.
constexpr int64_t kSoftmaxBlock = 8192;

// Calls `f(row, begin, end)` for the blocks of every row, on all threads.
template <class F>
void each_block(int64_t rows, int64_t width, F&& f) {
  const int64_t blocks = (width + kBlock - 1) / kBlock;
  each_row(rows * blocks, std::min(width, kBlock), [&](int64_t i) {
    const int64_t row = blocks == 1 ? i : i / blocks, begin = (i - row * blocks) * kBlock;
    f(row, begin, std::min(begin + kBlock, width));
  });
}

void norm_row(const Kernels& k, const float* x, int64_t width, const Norm& norm, float* to) {
  float mean = k.sum_of_squares(x, width) / static_cast<float>(width);
  k.scale(x, 1 / std::sqrt(mean + norm.eps), norm.weight, to, width);
}

// Takes a row of floats to its softmax. `each(f)` calls f(block, begin, end) for all blocks.
template <class Each>
void softmax_row(const RowView& x, int64_t row, const RowsOut& to, Each&& each) {
  const Kernels& k = kernels();
  const int64_t width = x.width(), blocks = (width + kSoftmaxBlock - 1) / kSoftmaxBlock;
  const float* own = x.in_place(row);
  float* room = own && to.type == Element::f32 ? nullptr : row_room(0, width);
  float* of_blocks = row_room(1, blocks);
  char* result = to.address(row * width);
  const float* from = own ? own : room;
  float* values = to.type == Element::f32 ? reinterpret_cast<float*>(result) : room;
  each([&](int64_t b, int64_t begin, int64_t end) {
    of_blocks[b] = k.largest(own ? own + begin : x.floats(row, begin, end, room + begin), end - begin);
  });
  const float top = *std::max_element(of_blocks, of_blocks + blocks);
  each([&](int64_t b, int64_t begin, int64_t end) {
    of_blocks[b] = k.exponentials(from + begin, top, values + begin, end - begin);
  });
  double sum = 0;
  for (int64_t b = 0; b < blocks; ++b) sum += of_blocks[b];
  const float factor = static_cast<float>(1 / sum);
  each([&](int64_t, int64_t begin, int64_t end) {
    k.scale(values + begin, factor, nullptr, values + begin, end - begin);
    if (to.type != Element::f32) k.narrow(values + begin, result + begin * size_of(to.type), to.type, end - begin);
  });
}

template <class T>
void gather(const char* from, int64_t step, T* to, int64_t n) {
  auto p = reinterpret_cast<const T*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = p[i * step];
}

}  // namespace

RowView::RowView(const void* data, Element type, int64_t rows, int64_t width)
    : data_(static_cast<const char*>(data)), type_(type), rows_(rows), width_(width), step_(1), without_gaps_(true) {
  outer_.push_back({rows, width});
}

RowView::RowView(const void* data, Element type, const std::vector<int64_t>& shape,
                 const std::vector<int64_t>& strides)
    : data_(static_cast<const char*>(data)), type_(type), rows_(1), width_(1), step_(1) {
  const size_t rank = shape.size();
  if (rank > 0) {
    width_ = shape[rank - 1];
    if (width_ != 1) step_ = strides[rank - 1];
  }
  for (size_t d = 0; d + 1 < rank; ++d) {
    rows_ *= shape[d];
    if (shape[d] == 1) continue;
    if (!outer_.empty() && outer_.back().stride == strides[d] * shape[d]) {
      outer_.back() = {outer_.back().size * shape[d], strides[d]};
    } else {
      outer_.push_back({shape[d], strides[d]});
    }
  }
  without_gaps_ = step_ == 1 && (outer_.empty() || (outer_.size() == 1 && outer_[0].stride == width_));
}

const char* RowView::address(int64_t row, int64_t item) const {
  int64_t offset = item * step_;
  for (size_t d = outer_.size(); d-- > 1;) {
    offset += row % outer_[d].size * outer_[d].stride;
    row /= outer_[d].size;
  }
  if (!outer_.empty()) offset += row * outer_[0].stride;
  return data_ + offset * size_of(type_);
}

const float* RowView::in_place(int64_t row) const {
  return step_ == 1 && type_ == Element::f32 ? reinterpret_cast<const float*>(address(row, 0)) : nullptr;
}

const float* RowView::floats(int64_t row, int64_t begin, int64_t end, float* room) const {
  const char* from = address(row, begin);
  const int64_t n = end - begin;
  if (step_ == 1) {
    if (type_ == Element::f32) return reinterpret_cast<const float*>(from);
    kernels().widen(from, type_, room, n);
  } else if (type_ == Element::f32) {
    gather(from, step_, room, n);
  } else {
    auto halves = reinterpret_cast<uint16_t*>(row_room(2, (n + 1) / 2));
    gather(from, step_, halves, n);
    kernels().widen(halves, type_, room, n);
  }
  return room;
}

float* row_room(int slot, int64_t n) {
  thread_local Scratch memory[3];
  return memory[slot].get<float>(n);
}

void norm_rows(const float* x, int64_t rows, int64_t width, const Norm& norm, float* to) {
  const Kernels& k = kernels();
  each_row(rows, width, [&](int64_t r) { norm_row(k, x + r * width, width, norm, to + r * width); });
}

void rms_norm_rows(const RowView& x, const Norm& norm, const RowsOut& to) {
  const Kernels& k = kernels();
  each_row(x.rows(), x.width(), [&](int64_t r) {
    map_items(x, r, 0, x.width(), to,
              [&](const float* from, float* result) { norm_row(k, from, x.width(), norm, result); });
  });
}

void layer_norm_rows(const RowView& x, float eps, const float* weight, const float* bias, const RowsOut& to) {
  const Kernels& k = kernels();
  each_row(x.rows(), x.width(), [&](int64_t r) {
    map_items(x, r, 0, x.width(), to,
              [&](const float* from, float* result) { k.layer_norm(from, eps, weight, bias, result, x.width()); });
  });
}

void softmax_rows(const RowView& x, const RowsOut& to) {
  const int64_t width = x.width(), blocks = (width + kSoftmaxBlock - 1) / kSoftmaxBlock;
  if (width == 0) return;
  auto call = [&](auto& f, int64_t b) { f(b, b * kSoftmaxBlock, std::min((b + 1) * kSoftmaxBlock, width)); };
  if (blocks > 1 && x.rows() < 2 * pool().threads()) {
    // Rows too few to be shared out: their blocks are.
    for (int64_t r = 0; r < x.rows(); ++r) {
      softmax_row(x, r, to, [&](auto&& f) {
        pool().parallel(blocks, 1, [&](int64_t begin, int64_t end) {
          for (int64_t b = begin; b < end; ++b) call(f, b);
        });
      });
    }
    return;
  }
  each_row(x.rows(), width, [&](int64_t r) {
    softmax_row(x, r, to, [&](auto&& f) {
      for (int64_t b = 0; b < blocks; ++b) call(f, b);
    });
  });
}

void activate_rows(const RowView& x, Activation activation, const RowsOut& to) {
  if (x.without_gaps() && x.rows() > 1) return activate_rows(x.joined(), activation, to);
  const Kernels& k = kernels();
  auto act = activation == Activation::silu ? k.silu : activation == Activation::gelu ? k.gelu : k.gelu_tanh;
  each_block(x.rows(), x.width(), [&](int64_t r, int64_t begin, int64_t end) {
    map_items(x, r, begin, end, to, [&](const float* from, float* result) { act(from, result, end - begin); });
  });
}

void gated_rows(const RowView& gate, const RowView& up, Gate kind, const RowsOut& to) {
  if (gate.without_gaps() && up.without_gaps() && gate.rows() > 1) {
    return gated_rows(gate.joined(), up.joined(), kind, to);
  }
  const Kernels& k = kernels();
  auto act = kind == Gate::silu ? k.silu_times : k.gelu_tanh_times;
  each_block(gate.rows(), gate.width(), [&](int64_t r, int64_t begin, int64_t end) {
    const float* times = up.floats(r, begin, end, row_room(1, end - begin));
    map_items(gate, r, begin, end, to,
              [&](const float* from, float* result) { act(from, times, result, end - begin); });
  });
}

void argmax_rows(const RowView& x, int32_t* to) {
  const Kernels& k = kernels();
  const int64_t width = x.width(), blocks = (width + kBlock - 1) / kBlock;
  for (int64_t r = 0; r < x.rows(); ++r) {
    float* largest = row_room(0, 2 * blocks);
    float* sums = largest + blocks;
    pool().parallel(blocks, kRowWiseItems / kBlock, [&](int64_t first, int64_t last) {
      for (int64_t b = first; b < last; ++b) {
        const int64_t begin = b * kBlock, end = std::min(begin + kBlock, width);
        const float* items = x.floats(r, begin, end, row_room(1, end - begin));
        largest[b] = k.largest(items, end - begin);
        sums[b] = k.sum(items, end - begin);
      }
    });
    if (std::any_of(sums, sums + blocks, [](float sum) { return std::isnan(sum); })) {
      to[r] = -1;
      continue;
    }
    const float* top = std::max_element(largest, largest + blocks);
    const int64_t begin = (top - largest) * kBlock, end = std::min(begin + kBlock, width);
    const float* items = x.floats(r, begin, end, row_room(1, end - begin));
    to[r] = static_cast<int32_t>(begin + (std::find(items, items + (end - begin), *top) - items));
  }
}

void cast_rows(const RowView& x, const RowsOut& to) {
  if (x.without_gaps() && x.rows() > 1) return cast_rows(x.joined(), to);
  const Kernels& k = kernels();
  each_block(x.rows(), x.width(), [&](int64_t r, int64_t begin, int64_t end) {
    char* result = to.address(r * x.width() + begin);
    if (to.type == Element::f32) {
      x.floats(r, begin, end, reinterpret_cast<float*>(result));
    } else {
      k.narrow(x.floats(r, begin, end, row_room(0, end - begin)), result, to.type, end - begin);
    }
  });
}

}  // namespace tensorlogic
