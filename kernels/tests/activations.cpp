#include <algorithm>
#include <cmath>

#include "check.h"
#include "core/isa.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

using Activation = void (*)(const float*, float*, int64_t);
using Gated = void (*)(const float*, const float*, float*, int64_t);

// Every `sweep_stride`-th float, against `reference`, whose error `bound` limits.
template <class Reference, class Bound>
void sweep(const Kernels& k, const char* name, Activation activation, Reference&& reference, Bound&& bound) {
  testing("%s %s", k.name, name);
  constexpr size_t kBatch = 4096;
  std::vector<float> x, got(kBatch);
  auto flush = [&] {
    activation(x.data(), got.data(), static_cast<int64_t>(x.size()));
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

// Every length at the end of memory; in place; with a second factor.
void lengths(const Kernels& k, Random& random, Activation activation, Gated gated) {
  for (int n = 0; n <= 50; ++n) {
    testing("%s activation of %d items", k.name, n);
    Guarded<float> x(random.normals(n)), up(random.normals(n)), alone(n), to(n);
    activation(x, alone, n);
    if (gated) {
      gated(x, up, to, n);
      for (int i = 0; i < n; ++i) expect(to[i] == alone[i] * up[i], "item %d: %a, not %a", i, to[i], alone[i] * up[i]);
      gated(x, up, up, n);
      for (int i = 0; i < n; ++i) expect(to[i] == up[i], "item %d in the factor's place", i);
    }
    activation(x, x, n);
    for (int i = 0; i < n; ++i) expect(x[i] == alone[i], "item %d in place", i);
  }
}

// By the definitions. At -infinity all are an infinity times 0.
double silu(double x) { return x * (1 / (1 + std::exp(-x))); }

double gelu(double x) { return x * (0.5 * std::erfc(-x / std::sqrt(2.0))); }

double gelu_tanh(double x) {
  const double u = std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x);
  // 1 + tanh(u) without the loss of digits for negative u.
  return std::isinf(x) ? (x > 0 ? x : NAN) : x / (1 + std::exp(-2 * u));
}

}  // namespace

void test_activations(std::string_view) {
  const Kernels& k = kernels();
  Random random(9);
  lengths(k, random, k.silu, k.silu_times);
  lengths(k, random, k.gelu_tanh, k.gelu_tanh_times);
  lengths(k, random, k.gelu, nullptr);
  // Where e^-x is more than the largest float, silu is 0 instead of at least -2.7e-37.
  sweep(k, "silu", k.silu, silu, [](double, double y) { return 3e-7 * std::fabs(y) + 2.7e-37; });
  sweep(k, "gelu", k.gelu, gelu,
        [](double x, double y) {
          const double bound = 2.5e-7 * std::fabs(x);
          return (x > -5 ? std::min(bound, 1e-6 * std::fabs(y)) : bound) + 0x1p-149;
        });
  sweep(k, "gelu_tanh", k.gelu_tanh, gelu_tanh,
        [](double x, double) { return 1.3e-7 * std::fabs(x) + 0x1p-149; });
}

}  // namespace tensorlogic::tests
