#include <algorithm>
#include <cmath>

#include "check.h"
#include "core/isa.h"
#include "probe.h"
#include "tests.h"

namespace tensorlogic::tests {

namespace probes {
extern const Probe portable;
#if defined(__x86_64__)
extern const Probe avx2, avx512, avx512vnni;
#elif defined(__aarch64__)
extern const Probe neon;
#endif
}  // namespace probes

const Probe& probe(std::string_view name) {
  static const Probe* const all[] = {
      &probes::portable,
#if defined(__x86_64__)
      &probes::avx2, &probes::avx512, &probes::avx512vnni,
#elif defined(__aarch64__)
      &probes::neon,
#endif
  };
  for (const Probe* p : all) {
    if (name == p->name) return *p;
  }
  std::abort();
}

namespace {

constexpr int kWidest = 16;

// Each beside each: signs, zeros, subnormals, the ends of the range, infinities, NaN.
std::vector<float> special() {
  std::vector<float> items;
  for (uint32_t bits : {0u, 1u, 0x007fffffu, 0x00800000u, 0x3effffffu, 0x3f000000u, 0x3f800000u, 0x3fc00000u,
                        0x40200000u, 0x4b000000u, 0x4f000000u, 0x7f7fffffu, 0x7f800000u, 0x7fc00000u}) {
    items.push_back(from_bits(bits));
    items.push_back(from_bits(bits | 0x80000000u));
  }
  return items;
}

void parts(const Probe& p) {
  for (int n = 0; n < p.width; ++n) {
    testing("%s parts of a vector, n=%d", p.name, n);
    Guarded<float> from(n), to(p.width), target(n), whole(p.width);
    for (int i = 0; i < n; ++i) from[i] = static_cast<float>(i + 1);
    p.load_part(from, n, to);
    for (int i = 0; i < p.width; ++i) expect(to[i] == (i < n ? static_cast<float>(i + 1) : 0.0f), "item %d", i);
    for (int i = 0; i < p.width; ++i) whole[i] = static_cast<float>(i + 1);
    p.store_part(whole, n, target);
    for (int i = 0; i < n; ++i) expect(target[i] == static_cast<float>(i + 1), "stored item %d", i);
  }
}

using Unary = void (*)(const float*, float*);
using Binary = void (*)(const float*, const float*, float*);

template <class F>
void unary(const Probe& p, const char* name, Unary f, const std::vector<float>& items, F&& expected) {
  testing("%s %s", p.name, name);
  float a[kWidest], got[kWidest];
  for (size_t i = 0; i < items.size(); i += static_cast<size_t>(p.width)) {
    for (int k = 0; k < p.width; ++k) a[k] = items[(i + static_cast<size_t>(k)) % items.size()];
    f(a, got);
    for (int k = 0; k < p.width; ++k) {
      expect(same(got[k], expected(a[k])), "of %a is %a, not %a", a[k], got[k], expected(a[k]));
    }
  }
}

template <class F>
void binary(const Probe& p, const char* name, Binary f, const std::vector<float>& items, F&& expected) {
  testing("%s %s", p.name, name);
  float a[kWidest], b[kWidest], got[kWidest];
  for (float x : items) {
    for (size_t i = 0; i < items.size(); i += static_cast<size_t>(p.width)) {
      for (int k = 0; k < p.width; ++k) {
        a[k] = x;
        b[k] = items[(i + static_cast<size_t>(k)) % items.size()];
      }
      f(a, b, got);
      for (int k = 0; k < p.width; ++k) {
        float wanted = expected(a[k], b[k]);
        expect(same(got[k], wanted), "of %a and %a is %a, not %a", a[k], b[k], got[k], wanted);
      }
    }
  }
}

void folds(const Probe& p, Random& random) {
  testing("%s sum and largest", p.name);
  for (int round = 0; round < 200; ++round) {
    float a[kWidest], got;
    double total = 0, sizes = 0;
    float peak = -INFINITY;
    for (int k = 0; k < p.width; ++k) {
      a[k] = random.normal() - 3;
      total += a[k];
      sizes += std::fabs(a[k]);
      peak = std::max(peak, a[k]);
    }
    p.sum(a, &got);
    expect(close(got, total, 6 * kHalfUlp * sizes), "sum %a of %a", got, total);
    p.largest(a, &got);
    expect(got == peak, "largest %a, not %a", got, peak);
    a[random.integer(0, p.width - 1)] = INFINITY;
    p.sum(a, &got);
    expect(got == INFINITY, "sum with infinity %a", got);
    p.largest(a, &got);
    expect(got == INFINITY, "largest with infinity %a", got);
    a[random.integer(0, p.width - 1)] = NAN;
    p.sum(a, &got);
    expect(std::isnan(got), "sum with NaN %a", got);
  }
}

void fused(const Probe& p, Random& random) {
  testing("%s fma", p.name);
  for (int round = 0; round < 500; ++round) {
    float a[kWidest], b[kWidest], c[kWidest], got[kWidest];
    for (int k = 0; k < p.width; ++k) a[k] = random.normal(), b[k] = random.normal(), c[k] = random.normal();
    p.fma(a, b, c, got);
    for (int k = 0; k < p.width; ++k) {
      double product = static_cast<double>(a[k]) * b[k], wanted = product + c[k];
      double bound = kHalfUlp * (std::fabs(product) + std::fabs(wanted));
      expect(close(got[k], wanted, bound), "%a * %a + %a is %a", a[k], b[k], c[k], got[k]);
    }
  }
}

// e^x over its whole range: what rows.inl says of it.
void exponentials(const Probe& p) {
  testing("%s exponential", p.name);
  float a[kWidest], got[kWidest];
  double worst = 0;
  int n = 0;
  auto flush = [&] {
    p.exponential(a, got);
    for (int k = 0; k < n; ++k) {
      double wanted = std::exp(static_cast<double>(a[k]));
      if (wanted > 3.4028235e38) {
        // Between the largest float and where it would round to infinity either is right.
        expect(got[k] == INFINITY || (wanted < 3.4028236e38 && got[k] > 3.4028e38f), "of %a is %a", a[k], got[k]);
      } else if (wanted < 0x1p-126) {
        expect(close(got[k], wanted, 0x1p-149), "of %a is %a, not %a", a[k], got[k], wanted);
      } else {
        worst = std::max(worst, std::fabs(got[k] - wanted) / wanted);
        expect(close(got[k], wanted, 2e-7 * wanted), "of %a is %a, not %a", a[k], got[k], wanted);
      }
    }
    n = 0;
  };
  for (int64_t bits = 0; bits <= 0x7f800000; bits += sweep_stride) {
    for (uint32_t sign : {0u, 0x80000000u}) {
      a[n++] = from_bits(static_cast<uint32_t>(bits) | sign);
      if (n == p.width) flush();
    }
  }
  while (n < p.width) a[n++] = 0;
  flush();
  float ends[kWidest] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 88.72283f, -103.9f, -104.1f};
  p.exponential(ends, got);
  expect(got[0] == 1 && got[1] == 1 && got[2] == INFINITY && got[3] == 0 && std::isnan(got[4]), "at the ends");
  std::printf("exponential within %.2g, ", worst);
}

}  // namespace

void test_vectors(std::string_view set) {
  const Probe& p = probe(set);
  const std::vector<float> items = special();
  Random random(1);
  parts(p);
  unary(p, "absolute", p.absolute, items, [](float x) { return std::fabs(x); });
  unary(p, "rounded", p.rounded, items, [](float x) { return std::nearbyint(x); });
  std::vector<float> exponents;
  for (int i = -127; i <= 127; ++i) exponents.push_back(static_cast<float>(i));
  unary(p, "power_of_two", p.power_of_two, exponents, [](float x) { return x < -126 ? 0 : std::exp2(x); });
  binary(p, "max", p.max, items, [](float a, float b) { return a > b ? a : b; });
  binary(p, "min", p.min, items, [](float a, float b) { return a < b ? a : b; });
  binary(p, "+", p.add, items, [](float a, float b) { return a + b; });
  binary(p, "-", p.subtract, items, [](float a, float b) { return a - b; });
  binary(p, "*", p.multiply, items, [](float a, float b) { return a * b; });
  binary(p, "/", p.divide, items, [](float a, float b) { return a / b; });
  folds(p, random);
  fused(p, random);
  exponentials(p);
}

}  // namespace tensorlogic::tests
