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

using Gated = void (*)(const float*, const float*, float*, int64_t);

// The activation of every `sweep_stride`-th float times 1, against `reference`, whose error `bound` limits.
template <class Reference, class Bound>
void activation(const Kernels& k, const char* name, Gated gated, Reference&& reference, Bound&& bound) {
  testing("%s %s", k.name, name);
  constexpr size_t kBatch = 4096;
  std::vector<float> x, ones(kBatch, 1.0f), got(kBatch);
  auto flush = [&] {
    gated(x.data(), ones.data(), got.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      double wanted = reference(x[i]);
      expect(close(got[i], wanted, bound(x[i], wanted)), "of %a is %a, not %a", x[i], got[i], wanted);
    }
    x.clear();
  };
  for (int64_t bits = 0; bits < int64_t{1} << 32; bits += sweep_stride) {
    x.push_back(from_bits(static_cast<uint32_t>(bits)));
    if (x.size() == kBatch) flush();
  }
  x.insert(x.end(), {INFINITY, -INFINITY, NAN, 0.0f, -0.0f});
  flush();
}

// Every length, with a second factor, in place.
void gates(const Kernels& k, Random& random) {
  for (Gated gated : {k.silu_times, k.gelu_tanh_times}) {
    for (int n = 0; n <= 50; ++n) {
      testing("%s gate of %d items", k.name, n);
      Guarded<float> gate(random.normals(n)), up(random.normals(n)), ones(n), alone(n), to(n);
      std::fill_n(ones.data(), n, 1.0f);
      gated(gate, ones, alone, n);
      gated(gate, up, to, n);
      for (int i = 0; i < n; ++i) expect(to[i] == alone[i] * up[i], "item %d: %a, not %a", i, to[i], alone[i] * up[i]);
      gated(gate, up, gate, n);
      for (int i = 0; i < n; ++i) expect(to[i] == gate[i], "item %d in place", i);
    }
  }
}

// By the definitions. At -infinity both are 0 times infinity.
double silu(double x) { return x * (1 / (1 + std::exp(-x))); }

double gelu_tanh(double x) {
  const double u = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
  // 1 + tanh(u) without the loss of digits for negative u.
  return std::isinf(x) ? (x > 0 ? x : NAN) : x / (1 + std::exp(-2 * u));
}

}  // namespace

void test_rows(std::string_view) {
  const Kernels& k = kernels();
  Random random(4);
  arithmetic(k, random);
  gates(k, random);
  // Where e^-x is more than the largest float, silu is 0 instead of at least -2.7e-37.
  activation(k, "silu", k.silu_times, silu, [](double, double y) { return 3e-7 * std::fabs(y) + 2.7e-37; });
  activation(k, "gelu_tanh", k.gelu_tanh_times, gelu_tanh,
             [](double x, double) { return 1.3e-7 * std::fabs(x) + 0x1p-149; });
}

}  // namespace tensorlogic::tests
