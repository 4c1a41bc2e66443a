#include "layouts.h"

namespace tensorlogic::tests {

RandomMatrix::RandomMatrix(Random& random, Layout of, int group_size, Element type, int64_t n, int64_t k, int tail)
    : layout(of),
      group(group_size),
      scale_type(type),
      rows(n),
      width(k),
      codes(n * k * of.bits / 8, tail),
      scales(n * k / group_size * factor_bytes()),
      biases(of.table ? 0 : scales.size()) {
  for (int64_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(random.bits());
  auto put = [&](Guarded<uint8_t>& to, int64_t i, float x) {
    if (layout.table) {
      to[i] = static_cast<uint8_t>(random.integer(110, 130));
    } else if (scale_type == Element::f32) {
      std::memcpy(to + i * 4, &x, 4);
    } else {
      uint16_t bits = nearest(x, scale_type);
      std::memcpy(to + i * 2, &bits, 2);
    }
  };
  for (int64_t i = 0; i < n * k / group; ++i) {
    put(scales, i, random.uniform(-0.05f, 0.05f));
    if (!layout.table) put(biases, i, random.uniform(-1, 1));
  }
}

PackedMatrix RandomMatrix::view() {
  PackedMatrix w;
  w.codes = codes;
  w.scales = scales.data();
  w.biases = layout.table ? nullptr : biases.data();
  w.packing = layout.table ? Packing::mxfp4 : Packing::affine;
  w.scale_type = scale_type;
  w.bits = layout.bits;
  w.group = group;
  w.rows = rows;
  w.width = width;
  return w;
}

double RandomMatrix::factor(Guarded<uint8_t>& from, int64_t row, int64_t column) {
  int64_t at = (row * width + column) / group;
  if (layout.table) return from[at] == 255 ? NAN : std::ldexp(1.0, from[at] - 127);
  if (scale_type == Element::f32) {
    float x;
    std::memcpy(&x, from + at * 4, 4);
    return x;
  }
  uint16_t bits;
  std::memcpy(&bits, from + at * 2, 2);
  return value_of(bits, scale_type);
}

}  // namespace tensorlogic::tests
