#include "layouts.h"

#include <algorithm>

namespace tensorlogic::tests {
namespace {

float peak_of_32(const float* x) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest;
}

// What int8 makes of 32 items (core/packed.h): bytes of one step.
void quantize(const float* x, double* to) {
  float largest = peak_of_32(x), step = largest / 127.0f, factor = largest > 0 ? 127.0f / largest : 0.0f;
  for (int i = 0; i < 32; ++i) to[i] = static_cast<double>(step) * std::nearbyint(x[i] * factor);
}

}  // namespace

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

const char* RandomMatrix::name() const {
  static char name[128];
  const char* types[] = {"float32", "float16", "bfloat16"};
  std::snprintf(name, sizeof name, "%s of %d bits, groups of %d, scales in %s, %lld rows of %lld",
                layout.table ? "mxfp4" : "affine", layout.bits, group,
                layout.table ? "bytes" : types[static_cast<int>(scale_type)], static_cast<long long>(rows),
                static_cast<long long>(width));
  return name;
}

// Within the rounding of float32 sums. Without int8 an item may lose, besides, what adding it to its block's largest
// would; under float16 1/64000 of the largest, in blocks whose items are large enough on the average.
void check_products(const float* x, RandomMatrix& w, Activations kept, const float* y) {
  const bool int8 = kept == Activations::int8;
  std::vector<double> seen(x, x + w.width), peaks;
  for (int64_t b = 0; b < w.width; b += 32) {
    if (int8) quantize(x + b, &seen[static_cast<size_t>(b)]);
    const float peak = peak_of_32(x + b);
    float total = 0;
    for (int i = 0; i < 32; ++i) total += std::fabs(x[b + i]);
    peaks.push_back(kept == Activations::float16 && total > 2.13f * peak ? 263 * peak : peak);
  }
  const double roundings = static_cast<double>(w.width) / 32 + 24;
  for (int64_t n = 0; n < w.rows; ++n) {
    double wanted = 0, sizes = 0, unseen = 0;
    for (int64_t i = 0; i < w.width; ++i) {
      const double scale = w.scale(n, i), bias = w.bias(n, i), code = w.code(n, i), item = seen[static_cast<size_t>(i)];
      wanted += item * (scale * code + bias);
      // With integers a code may count by as much as its range more, which the bias takes off again.
      const double counted = int8 || w.layout.table ? (w.layout.table ? 12 : 1 << w.layout.bits) : code;
      sizes += std::fabs(item) * (std::fabs(scale) * counted + std::fabs(bias));
      if (!int8) unseen += peaks[static_cast<size_t>(i / 32)] * std::fabs(scale * code + bias);
    }
    const double bound = kHalfUlp * (roundings * sizes + 1.01 * unseen);
    expect(close(y[n], wanted, bound), "column %lld: %a, not %a (bound %g)", static_cast<long long>(n), y[n], wanted,
           bound);
  }
}

}  // namespace tensorlogic::tests
