// Row-wise loops in terms of `Floats`, for any instruction set: casts, sums, activations; then those of the files that
// the last lines name.

namespace tensorlogic::TENSORLOGIC_SET {

inline void widen(const void* from, Element e, float* to, int64_t n) {
  if (e == Element::f32) {
    std::memcpy(to, from, static_cast<size_t>(n) * 4);
    return;
  }
  auto p = static_cast<const uint16_t*>(from);
  int64_t i = 0;
  for (; i + Floats::width <= n; i += Floats::width) {
    (e == Element::f16 ? Floats::from_f16(p + i) : Floats::from_bf16(p + i)).store(to + i);
  }
  if (i < n) {
    uint16_t rest[Floats::width] = {};
    for (int64_t k = i; k < n; ++k) rest[k - i] = p[k];
    (e == Element::f16 ? Floats::from_f16(rest) : Floats::from_bf16(rest)).store(to + i, static_cast<int>(n - i));
  }
}

inline void narrow(const float* from, void* to, Element e, int64_t n) {
  if (e == Element::f32) {
    std::memcpy(to, from, static_cast<size_t>(n) * 4);
    return;
  }
  auto p = static_cast<uint16_t*>(to);
  int64_t i = 0;
  for (; i + Floats::width <= n; i += Floats::width) {
    Floats v = Floats::load(from + i);
    e == Element::f16 ? v.to_f16(p + i) : v.to_bf16(p + i);
  }
  if (i < n) {
    uint16_t rest[Floats::width];
    Floats v = Floats::load(from + i, static_cast<int>(n - i));
    e == Element::f16 ? v.to_f16(rest) : v.to_bf16(rest);
    for (int64_t k = i; k < n; ++k) p[k] = rest[k - i];
  }
}

// Calls `whole(i)` for each full vector of 0...n and `part(i, m)` for the last m items.
template <class Whole, class Part>
inline void each_vector(int64_t n, Whole&& whole, Part&& part) {
  int64_t i = 0;
  for (; i + Floats::width <= n; i += Floats::width) whole(i);
  if (i < n) part(i, static_cast<int>(n - i));
}

// In eight sums, so that no addition waits for the one before.
inline float sum(const float* x, int64_t n) {
  constexpr int sums = 8;
  Floats totals[sums];
  for (Floats& total : totals) total = Floats::zero();
  int64_t i = 0;
  for (; i + sums * Floats::width <= n; i += sums * Floats::width) {
    for (int k = 0; k < sums; ++k) totals[k] = totals[k] + Floats::load(x + i + k * Floats::width);
  }
  each_vector(
      n - i, [&](int64_t j) { totals[0] = totals[0] + Floats::load(x + i + j); },
      [&](int64_t j, int m) { totals[1] = totals[1] + Floats::load(x + i + j, m); });
  for (int k = 1; k < sums; ++k) totals[0] = totals[0] + totals[k];
  return totals[0].sum();
}

inline float sum_of_squares(const float* x, int64_t n) {
  Floats total = Floats::zero(), other = Floats::zero();
  int64_t i = 0;
  for (; i + 2 * Floats::width <= n; i += 2 * Floats::width) {
    Floats a = Floats::load(x + i), b = Floats::load(x + i + Floats::width);
    total = fma(a, a, total);
    other = fma(b, b, other);
  }
  for (; i < n; i += Floats::width) {
    Floats a = i + Floats::width <= n ? Floats::load(x + i) : Floats::load(x + i, static_cast<int>(n - i));
    total = fma(a, a, total);
  }
  return (total + other).sum();
}

inline void scale(const float* x, float factor, const float* weight, float* to, int64_t n) {
  Floats f = Floats::all(factor);
  each_vector(
      n,
      [&](int64_t i) {
        Floats v = Floats::load(x + i) * f;
        (weight ? v * Floats::load(weight + i) : v).store(to + i);
      },
      [&](int64_t i, int m) {
        Floats v = Floats::load(x + i, m) * f;
        (weight ? v * Floats::load(weight + i, m) : v).store(to + i, m);
      });
}

inline void add(const float* a, const float* b, float* to, int64_t n) {
  each_vector(
      n, [&](int64_t i) { (Floats::load(a + i) + Floats::load(b + i)).store(to + i); },
      [&](int64_t i, int m) { (Floats::load(a + i, m) + Floats::load(b + i, m)).store(to + i, m); });
}

// e^x with a relative error below 2e-7: x = n ln 2 + r, a polynomial for e^r (Cephes, expf), and 2^n in two factors so
// that it goes down through the subnormal numbers to 0 and up to infinity. NaN stays NaN (the order of max's operands).
inline Floats exponential(Floats x) {
  Floats clamped = min(Floats::all(89.0f), max(Floats::all(-104.0f), x));
  Floats n = (clamped * Floats::all(1.44269504088896341f)).rounded();
  Floats r = fma(n, Floats::all(-0.693359375f), clamped);
  r = fma(n, Floats::all(2.12194440e-4f), r);
  Floats p = Floats::all(1.9875691500e-4f);
  p = fma(p, r, Floats::all(1.3981999507e-3f));
  p = fma(p, r, Floats::all(8.3334519073e-3f));
  p = fma(p, r, Floats::all(4.1665795894e-2f));
  p = fma(p, r, Floats::all(1.6666665459e-1f));
  p = fma(p, r, Floats::all(0.5f));
  p = fma(p, r * r, r + Floats::all(1.0f));
  Floats half = (n * Floats::all(0.5f)).rounded();
  return p * half.power_of_two() * (n - half).power_of_two();
}

inline Floats silu(Floats x) {
  Floats one = Floats::all(1.0f);
  return x / (one + exponential(Floats::zero() - x));
}

// 0.5 x (1 + tanh(u)) = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3)
inline Floats gelu_tanh(Floats x) {
  Floats u = x * fma(x * x, Floats::all(0.044715f * 0.7978845608f), Floats::all(0.7978845608f));
  return x / (Floats::all(1.0f) + exponential(u * Floats::all(-2.0f)));
}

// x times the area under the normal curve up to x: within 2.5e-7 |x|, and to a relative 1e-6 above -5. The area beyond
// |x| is a polynomial of u = (|x| - 3) / (|x| + 3), fitted to a relative 5.4e-8, times (1 - u) e^(-x^2 / 2). -infinity
// becomes NaN, its product with 0.
inline Floats gelu(Floats x) {
  Floats size = absolute(x), one = Floats::all(1.0f);
  Floats t = Floats::all(6.0f) / (size + Floats::all(3.0f)), u = one - t;
  Floats p = Floats::all(-4.358425576e-05f);
  p = fma(p, u, Floats::all(-1.492719894e-04f));
  p = fma(p, u, Floats::all(1.790259848e-04f));
  p = fma(p, u, Floats::all(1.153076882e-03f));
  p = fma(p, u, Floats::all(-1.746687689e-03f));
  p = fma(p, u, Floats::all(-7.875826210e-03f));
  p = fma(p, u, Floats::all(3.833656758e-02f));
  p = fma(p, u, Floats::all(-8.488872647e-02f));
  p = fma(p, u, Floats::all(1.215139478e-01f));
  Floats beyond = p * t * exponential(x * x * Floats::all(-0.5f));
  // Not more than 15 of a positive x, where nothing is beyond: infinity stays.
  return max(Floats::zero(), x) - max(min(x, Floats::all(15.0f)), Floats::zero() - x) * beyond;
}

template <class Activation>
inline void each(const float* x, float* to, int64_t n, Activation&& activation) {
  each_vector(
      n, [&](int64_t i) { activation(Floats::load(x + i)).store(to + i); },
      [&](int64_t i, int m) { activation(Floats::load(x + i, m)).store(to + i, m); });
}

inline void silu_each(const float* x, float* to, int64_t n) {
  each(x, to, n, [](Floats v) { return silu(v); });
}

inline void gelu_each(const float* x, float* to, int64_t n) {
  each(x, to, n, [](Floats v) { return gelu(v); });
}

inline void gelu_tanh_each(const float* x, float* to, int64_t n) {
  each(x, to, n, [](Floats v) { return gelu_tanh(v); });
}

template <class Activation>
inline void gated(const float* gate, const float* up, float* to, int64_t n, Activation&& activation) {
  each_vector(
      n, [&](int64_t i) { (activation(Floats::load(gate + i)) * Floats::load(up + i)).store(to + i); },
      [&](int64_t i, int m) { (activation(Floats::load(gate + i, m)) * Floats::load(up + i, m)).store(to + i, m); });
}

inline void silu_times(const float* gate, const float* up, float* to, int64_t n) {
  gated(gate, up, to, n, [](Floats x) { return silu(x); });
}

inline void gelu_tanh_times(const float* gate, const float* up, float* to, int64_t n) {
  gated(gate, up, to, n, [](Floats x) { return gelu_tanh(x); });
}

}  // namespace tensorlogic::TENSORLOGIC_SET

#include "isa/norms.inl"
#include "isa/rotary.inl"
