#include "core/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/isa.h"
#include "core/scratch.h"

namespace tensorlogic {
namespace {

template <class T>
void gather(const char* from, int64_t step, T* to, int64_t n) {
  auto p = reinterpret_cast<const T*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = p[i * step];
}

// `n` floats `step` items apart.
void widen_strided(const char* from, Element type, int64_t step, float* to, int64_t n) {
  const Kernels& k = kernels();
  if (step == 1) return k.widen(from, type, to, n);
  if (type == Element::f32) return gather(from, step, to, n);
  constexpr int64_t stretch = 64;
  uint16_t halves[stretch];
  for (int64_t i = 0; i < n; i += stretch) {
    int64_t m = std::min(n - i, stretch);
    gather(from + i * step * 2, step, halves, m);
    k.widen(halves, type, to + i, m);
  }
}

int64_t offset_of(const Strides4& strides, int64_t a, int64_t b, int64_t c) {
  return a * strides[0] + b * strides[1] + c * strides[2];
}

}  // namespace

FloatRows HeadRows::rows(int64_t batch, int64_t head, int64_t first) const {
  return {data + offset_of(strides, batch, head, first) * size_of(type), type, strides[2]};
}

void HeadRows::floats(int64_t batch, int64_t head, int64_t first, int64_t count, int64_t padded, float* to,
                      int64_t to_stride) const {
  const Kernels& k = kernels();
  if (is_packed) {
    PackedMatrix m = packed;
    m.codes += offset_of(code_strides, batch, head, first);
    m.scales = static_cast<const char*>(m.scales) + offset_of(scale_strides, batch, head, first);
    m.biases = static_cast<const char*>(m.biases) + offset_of(bias_strides, batch, head, first);
    const int64_t scale_bytes = m.groups() * m.scale_bytes();
    if (code_strides[2] == m.row_bytes() && scale_strides[2] == scale_bytes && bias_strides[2] == scale_bytes) {
      // Rows without gaps between them are one long row, whose scales become floats together.
      m.width *= count;
      if (to_stride == width) return k.expand(m, 0, 1, to);
      thread_local Scratch memory;
      float* joined = memory.get<float>(m.width);
      k.expand(m, 0, 1, joined);
      for (int64_t i = 0; i < count; ++i) std::copy(joined + i * width, joined + (i + 1) * width, to + i * to_stride);
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      k.expand(m, 0, 1, to + i * to_stride);
      m.codes += code_strides[2];
      m.scales = static_cast<const char*>(m.scales) + scale_strides[2];
      m.biases = static_cast<const char*>(m.biases) + bias_strides[2];
    }
    return;
  }
  const char* row = data + offset_of(strides, batch, head, first) * size_of(type);
  for (int64_t i = 0; i < count; ++i, row += strides[2] * size_of(type), to += to_stride) {
    widen_strided(row, type, strides[3], to, width);
    std::fill(to + width, to + padded, 0.0f);
  }
}

void AttentionMask::row(int64_t batch, int64_t head, int64_t query, int64_t first, int64_t count, float* to) const {
  const int64_t step = strides[3], offset = offset_of(strides, batch, head, query) + first * step;
  if (!is_bool) {
    const int64_t distinct = step == 0 ? 1 : count;
    widen_strided(data + offset * size_of(type), type, step == 0 ? 1 : step, to, distinct);
    std::fill(to + distinct, to + count, to[0]);
    return;
  }
  for (int64_t i = 0; i < count; ++i) to[i] = data[offset + i * step] ? 0.0f : -HUGE_VALF;
}

int64_t Attention::end_key(int64_t query) const {
  return causal ? std::max<int64_t>(0, query + keys - queries + 1) : keys;
}

int64_t Attention::first_key(int64_t query) const { return window ? std::max<int64_t>(0, end_key(query) - window) : 0; }

void Attention::finish(int64_t batch_index, int64_t head, int64_t query, float* sums, float total) const {
  const Kernels& k = kernels();
  auto to = static_cast<char*>(out) + ((batch_index * queries + query) * heads + head) * v.width * size_of(out_type);
  // Not where it is NaN.
  const float factor = total == 0 ? 0.0f : 1 / total;
  float* values = out_type == Element::f32 ? reinterpret_cast<float*>(to) : sums;
  k.scale(sums, factor, nullptr, values, v.width);
  if (out_type != Element::f32) k.narrow(values, to, out_type, v.width);
}

void attend(const Attention& a) {
  const int64_t items = a.batch * a.queries * a.heads * a.v.width;
  if (items == 0) return;
  if (a.keys == 0) {
    std::memset(a.out, 0, static_cast<size_t>(items * size_of(a.out_type)));
    return;
  }
  a.queries <= kDecodeRows ? attend_few(a) : attend_many(a);
}

}  // namespace tensorlogic
