#include <algorithm>
#include <cmath>

#include "core/isa.h"
#include "layouts.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

// The products of all rows with all of x, some rows at a time.
void products(const Kernels& k, Random& random, RandomMatrix& w, int count, Activations kept) {
  const PackedMatrix view = w.view();
  const int64_t stride = w.width + random.integer(0, 3), y_stride = w.rows + random.integer(0, 3);
  testing("%s %d rows in %s with %s", k.name, count, name_of(kept), w.name());

  Guarded<float> x((count - 1) * stride + w.width);
  for (int64_t i = 0; i < x.size(); ++i) x[i] = random.normal();
  // Sizes that a step does not fit, now and then not, and a block of zeros.
  if (random.integer(0, 3)) x[random.integer(0, static_cast<int>(w.width) - 1)] = 300;
  if (random.integer(0, 3) == 0) std::fill_n(x.data(), 32, 0.0f);

  // Of exactly the sizes that core/isa.h states.
  Guarded<float> prepared(count * prepared_width(w.width)), steps(count * padded_to_16(w.width / 32));
  Guarded<float> sums(count * padded_to_16(view.groups()));
  Guarded<int8_t> codes(count * kDigits * prepared_width(w.width));
  PreparedRows rows{.count = count, .kept = kept, .x = prepared, .codes = codes, .steps = steps, .sums = sums};
  k.prepare(x, stride, view, rows);

  Guarded<float> y((count - 1) * y_stride + w.rows);
  const int64_t middle = random.integer(0, static_cast<int>(w.rows));
  k.multiply(rows, view, 0, middle, y, y_stride);
  k.multiply(rows, view, middle, w.rows, y, y_stride);

  for (int m = 0; m < count; ++m) {
    // Groups of 16 meet bytes in sets with tiles alone.
    const bool in_floats = kept == Activations::int8 && w.group == 16 && !k.tile;
    check_products(x + m * stride, w, in_floats ? Activations::float32 : kept, y + m * y_stride);
    for (int64_t n = w.rows; n < y_stride && m + 1 < count; ++n) {
      expect(y.untouched(m * y_stride + n), "what lies between rows was written");
    }
  }
}

void expansion(const Kernels& k, Random& random, RandomMatrix& w) {
  testing("%s expand %s", k.name, w.name());
  const int64_t first = random.integer(0, static_cast<int>(w.rows) - 1);
  Guarded<float> to((w.rows - first) * w.width);
  k.expand(w.view(), first, w.rows, to);
  for (int64_t n = first; n < w.rows; ++n) {
    for (int64_t i = 0; i < w.width; ++i) {
      double wanted = w.value(n, i), product = w.scale(n, i) * w.code(n, i);
      float got = to[(n - first) * w.width + i];
      expect(close(got, wanted, kHalfUlp * (std::fabs(product) + std::fabs(wanted))), "row %lld, item %lld: %a, not %a",
             static_cast<long long>(n), static_cast<long long>(i), got, wanted);
    }
  }
}

// Many rows by integers, in tiles of rows of w, where the set has them.
void tiles(const Kernels& k, Random& random, RandomMatrix& w, int count, Activations kept) {
  const PackedMatrix view = w.view();
  const int64_t blocks = w.width / 32;
  const int64_t stride = w.width + random.integer(0, 3), y_stride = w.rows + random.integer(0, 3);
  testing("%s tiles, %d rows in %s with %s", k.name, count, name_of(kept), w.name());
  Guarded<float> x((count - 1) * stride + w.width);
  // Blocks in which 16 bits do, and such that one item is larger than the rest.
  for (int64_t i = 0; i < x.size(); ++i) x[i] = random.normal() * (random.integer(0, 99) ? 1 : 300);
  // Of exactly the sizes that core/isa.h states.
  const int digits = kept == Activations::int8 ? 1 : kDigits;
  Guarded<int8_t> codes(digits * count * w.width);
  Guarded<float> steps(count * blocks), sums(2 * count * blocks);
  Guarded<float> factors(2 * k.tile * w.width / std::min(w.group, 32));
  Guarded<uint8_t> lowest(count * blocks), filled(k.tile * ((w.width + 63) / 64 * 64));
  DigitRows rows{count, digits, kept == Activations::float16, codes, w.width, count * w.width, steps, sums, lowest};
  const int middle = random.integer(0, count);
  k.quantize_rows(x, stride, 0, middle, w.width, rows);
  k.quantize_rows(x, stride, middle, count, w.width, rows);
  Guarded<float> y((count - 1) * y_stride + w.rows);
  for (int64_t first = 0; first < w.rows; first += k.tile) {
    const int64_t last = std::min(w.rows, first + k.tile);
    k.fill_codes(view, first, last, filled);
    k.tile_factors(view, first, last, factors);
    k.multiply_tile(rows, view, last - first, filled, factors, y + first, y_stride);
  }
  for (int m = 0; m < count; ++m) {
    check_products(x + m * stride, w, kept, y + m * y_stride);
    for (int64_t n = w.rows; n < y_stride && m + 1 < count; ++n) {
      expect(y.untouched(m * y_stride + n), "what lies between rows was written");
    }
  }
}

// One NaN or infinity in x, in a scale or in a bias reaches what it belongs to and nothing else.
void poison(const Kernels& k, Random& random, Layout layout, Activations kept) {
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    RandomMatrix w(random, layout, 32, Element::f32, 3, 96);
    testing("%s %a in %s with %s", k.name, bad, name_of(kept), w.name());
    const PackedMatrix view = w.view();
    std::vector<float> x = random.normals(2 * 96), prepared(2 * 128), sums(2 * 16), steps(2 * 16), y(6);
    std::vector<int8_t> codes(2 * 128 * kDigits);
    PreparedRows rows{2, kept, 0, prepared.data(), codes.data(), steps.data(), sums.data()};
    // Large ones, too, that must not be taken for the multiples of a small step.
    for (int i = 0; i < 8; ++i) x[static_cast<size_t>(random.integer(0, 95))] = random.uniform(-1e30f, 1e30f);
    x[static_cast<size_t>(random.integer(0, 95))] = bad;
    k.prepare(x.data(), 96, view, rows);
    k.multiply(rows, view, 0, 3, y.data(), 3);
    for (int i = 0; i < 6; ++i) expect(std::isfinite(y[i]) == (i >= 3), "product %d is %a", i, y[i]);
    if (!layout.table) {
      std::memcpy((random.integer(0, 1) ? w.scales : w.biases) + 4 * 4, &bad, 4);
      k.multiply(rows, view, 0, 3, y.data(), 3);
      for (int i = 3; i < 6; ++i) expect(std::isfinite(y[i]) == (i != 4), "product %d by row 1 is %a", i, y[i]);
    }
  }
}

// Scales of mxfp4 at the ends of what a byte says: 2^-127 is subnormal, 255 is NaN.
void scales_of_mxfp4(const Kernels& k) {
  testing("%s scales of mxfp4", k.name);
  Random random(7);
  RandomMatrix w(random, {4, true}, 32, Element::f32, 256, 32);
  std::vector<float> to(256 * 32);
  for (int i = 0; i < 256; ++i) w.scales[i] = static_cast<uint8_t>(i);
  k.expand(w.view(), 0, 256, to.data());
  for (int n = 0; n < 256; ++n) {
    for (int i = 0; i < 32; ++i) {
      auto wanted = static_cast<float>(w.value(n, i));
      float got = to[static_cast<size_t>(32 * n + i)];
      expect(got == wanted || (std::isnan(got) && std::isnan(wanted)), "2^(%d - 127), item %d: %a, not %a", n, i, got,
             wanted);
    }
  }
}

}  // namespace

void test_packed(std::string_view) {
  const Kernels& k = kernels();
  Random random(5);
  for (const Layout& layout : kLayouts) {
    for (int group : {16, 32, 64, 128}) {
      if ((layout.table && group != 32) || (layout.bits == 4 && group == 16)) continue;
      for (Element type : {Element::f32, Element::f16, Element::bf16}) {
        for (int count = 1; count <= kDecodeRows; ++count) {
          for (Activations kept : kAllKept) {
            // Now and then rows of more groups than have their scales made floats at a time.
            bool wide = random.integer(0, 15) == 0;
            int64_t groups = wide ? random.integer(60, 132) : random.integer(1, 9), n = random.integer(1, wide ? 2 : 9);
            const int64_t block = std::max(group, 32);
            RandomMatrix w(random, layout, group, type, n, groups * block, random.integer(0, 5));
            products(k, random, w, count, kept);
            if (count == 1) expansion(k, random, w);
            if (!k.tile) continue;
            // About one tile, and two.
            RandomMatrix more(random, layout, group, type, random.integer(1, wide ? 2 : 70), groups * block);
            tiles(k, random, more, random.integer(1, 20), kept);
          }
        }
      }
    }
    for (Activations kept : kAllKept) poison(k, random, layout, kept);
  }
  scales_of_mxfp4(k);
}

}  // namespace tensorlogic::tests
