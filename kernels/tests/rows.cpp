#include <algorithm>
#include <cmath>

#include "check.h"
#include "core/isa.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

// Every length around some vectors, at the end of memory; also in place.
void arithmetic(const Kernels& k, Random& random) {
  for (int n = 0; n <= 70; ++n) {
    testing("%s rows of %d items", k.name, n);
    Guarded<float> a(random.normals(n)), b(random.normals(n)), to(n);
    double squares = 0;
    for (int i = 0; i < n; ++i) squares += static_cast<double>(a[i]) * a[i];
    float got = k.sum_of_squares(a, n);
    expect(close(got, squares, (n / 8 + 8) * kHalfUlp * squares), "sum of squares %a, not %a", got, squares);
    k.scale(a, 0.3f, b, to, n);
    for (int i = 0; i < n; ++i) expect(to[i] == a[i] * 0.3f * b[i], "scaled item %d", i);
    k.scale(a, 0.3f, nullptr, to, n);
    for (int i = 0; i < n; ++i) expect(to[i] == a[i] * 0.3f, "item %d scaled without weights", i);
    k.add(a, b, to, n);
    for (int i = 0; i < n; ++i) expect(to[i] == a[i] + b[i], "added item %d", i);
    k.scale(to, 0.5f, nullptr, to, n);
    k.add(to, b, to, n);
    for (int i = 0; i < n; ++i) expect(to[i] == (a[i] + b[i]) * 0.5f + b[i], "item %d in place", i);
    k.scale(b, 1, to, to, n);
    for (int i = 0; i < n; ++i) {
      expect(to[i] == b[i] * ((a[i] + b[i]) * 0.5f + b[i]), "item %d in the weights' place", i);
    }
  }
}

void folds(const Kernels& k, Random& random) {
  for (int n = 0; n <= 70; ++n) {
    testing("%s sum, largest and exponentials of %d items", k.name, n);
    Guarded<float> x(random.normals(n)), to(n);
    double total = 0, sizes = 0, weights = 0;
    float top = -INFINITY;
    for (int i = 0; i < n; ++i) {
      total += x[i];
      sizes += std::fabs(x[i]);
      top = std::max(top, x[i]);
    }
    expect(close(k.sum(x, n), total, (n / 8 + 8) * kHalfUlp * sizes), "sum %a, not %a", k.sum(x, n), total);
    expect(k.largest(x, n) == top, "largest %a, not %a", k.largest(x, n), top);
    const float got = k.exponentials(x, 1.5f, to, n);
    for (int i = 0; i < n; ++i) {
      const double wanted = std::exp(static_cast<double>(x[i]) - 1.5);
      weights += wanted;
      // The difference is rounded to a float.
      expect(close(to[i], wanted, 5e-7 * wanted), "exponential %d: %a, not %a", i, to[i], wanted);
    }
    expect(close(got, weights, 1e-6 * weights), "exponentials sum to %a, not %a", got, weights);
    k.exponentials(x, 1.5f, x, n);
    for (int i = 0; i < n; ++i) expect(x[i] == to[i], "exponential %d in place", i);
    if (n == 0) continue;
    x[random.integer(0, n - 1)] = INFINITY;
    expect(k.largest(x, n) == INFINITY, "infinity is not the largest");
    const int at = random.integer(0, n - 1);
    x[at] = NAN;
    expect(!std::isnan(k.largest(x, n)), "NaN is the largest");
    expect(std::isnan(k.sum(x, n)), "NaN is lost in a sum");
    expect(std::isnan(k.exponentials(x, 0, to, n)) && std::isnan(to[at]), "NaN has an exponential");
  }
}

void layer_norms(const Kernels& k, Random& random) {
  for (int n = 1; n <= 70; ++n) {
    testing("%s layer norm of %d items", k.name, n);
    Guarded<float> x(random.normals(n)), weight(random.normals(n)), bias(random.normals(n)), to(n), plain(n);
    double mean = 0, variance = 0;
    for (int i = 0; i < n; ++i) mean += (x[i] += 100) / n;
    for (int i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean) / n;
    k.layer_norm(x, 1e-3f, nullptr, nullptr, plain, n);
    k.layer_norm(x, 1e-3f, weight, bias, to, n);
    for (int i = 0; i < n; ++i) {
      const double wanted = (x[i] - mean) / std::sqrt(variance + 1e-3);
      // A mean of 100 is known to a few units of its last digit, 7.6e-6.
      const double bound = 5e-5 / std::sqrt(variance + 1e-3);
      expect(close(plain[i], wanted, bound), "item %d: %a, not %a", i, plain[i], wanted);
      expect(close(to[i], wanted * weight[i] + bias[i], bound * std::fabs(weight[i]) + 1e-6), "weighted item %d", i);
    }
    k.layer_norm(x, 1e-3f, weight, bias, x, n);
    for (int i = 0; i < n; ++i) expect(x[i] == to[i], "item %d in place", i);
  }
}

void rotations(const Kernels& k, Random& random) {
  for (int half = 0; half <= 140; half = half < 40 ? half + 1 : half + 25) {
    testing("%s rotations of %d pairs", k.name, half);
    std::vector<double> turns;
    for (int i = 0; i < half; ++i) turns.push_back(random.uniform(-1, 1) * std::pow(10.0, -random.integer(0, 4)));
    const Guarded<double> angles(turns);
    Guarded<float> cosines(half), sines(half), x(random.normals(2 * half)), halves(2 * half), pairs(2 * half);
    for (int position : {0, 1, 77, 131071, 1 << 24}) {
      k.cosines_and_sines(angles, position, cosines, sines, half);
      for (int i = 0; i < half; ++i) {
        const double angle = std::fmod(angles[i] * position, 4.0) * 1.57079632679489661923;
        expect(close(cosines[i], std::cos(angle), 1.5e-7), "cosine %d at %d: %a", i, position, cosines[i]);
        expect(close(sines[i], std::sin(angle), 1.5e-7), "sine %d at %d: %a", i, position, sines[i]);
      }
    }
    k.rotate_halves(x, cosines, sines, halves, half);
    k.rotate_pairs(x, cosines, sines, pairs, half);
    auto turned = [&](float* to, int first, int second, int i) {
      const double a = x[first], b = x[second], c = cosines[i], s = sines[i];
      const double bound = 2 * kHalfUlp * (std::fabs(a) + std::fabs(b));
      expect(close(to[first], a * c - b * s, bound), "first of pair %d: %a", i, to[first]);
      expect(close(to[second], a * s + b * c, bound), "second of pair %d: %a", i, to[second]);
    };
    for (int i = 0; i < half; ++i) {
      turned(halves, i, half + i, i);
      turned(pairs, 2 * i, 2 * i + 1, i);
    }
    Guarded<float> again(std::vector<float>(x.data(), x.data() + x.size()));
    k.rotate_halves(x, cosines, sines, x, half);
    k.rotate_pairs(again, cosines, sines, again, half);
    for (int i = 0; i < 2 * half; ++i) expect(x[i] == halves[i] && again[i] == pairs[i], "item %d in place", i);
  }
}

}  // namespace

void test_rows(std::string_view) {
  const Kernels& k = kernels();
  Random random(4);
  arithmetic(k, random);
  folds(k, random);
  layer_norms(k, random);
  rotations(k, random);
}

}  // namespace tensorlogic::tests
