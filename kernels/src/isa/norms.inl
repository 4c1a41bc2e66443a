// Layer norm and the parts of softmax, in terms of `Floats`.
#include <math.h>

namespace tensorlogic::TENSORLOGIC_SET {

// Deviations are squared, not squares subtracted: a large mean costs no digits.
inline void layer_norm(const float* x, float eps, const float* weight, const float* bias, float* to, int64_t n) {
  const Floats mean = Floats::all(sum(x, n) / static_cast<float>(n));
  each_vector(
      n, [&](int64_t i) { (Floats::load(x + i) - mean).store(to + i); },
      [&](int64_t i, int m) { (Floats::load(x + i, m) - mean).store(to + i, m); });
  scale(to, 1 / sqrtf(sum_of_squares(to, n) / static_cast<float>(n) + eps), weight, to, n);
  if (bias) add(to, bias, to, n);
}

inline float largest(const float* x, int64_t n) {
  Floats top = Floats::all(-HUGE_VALF), other = top;
  int64_t i = 0;
  for (; i + 2 * Floats::width <= n; i += 2 * Floats::width) {
    top = max(Floats::load(x + i), top);
    other = max(Floats::load(x + i + Floats::width), other);
  }
  float result = max(top, other).largest();
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

inline float exponentials(const float* x, float top, float* to, int64_t n) {
  const Floats t = Floats::all(top);
  Floats total = Floats::zero(), other = Floats::zero();
  int64_t i = 0;
  for (; i + 2 * Floats::width <= n; i += 2 * Floats::width) {
    Floats a = exponential(Floats::load(x + i) - t), b = exponential(Floats::load(x + i + Floats::width) - t);
    a.store(to + i);
    b.store(to + i + Floats::width);
    total = total + a;
    other = other + b;
  }
  for (; i < n; i += Floats::width) {
    const int m = n - i < Floats::width ? static_cast<int>(n - i) : Floats::width;
    if (m == Floats::width) {
      Floats a = exponential(Floats::load(x + i) - t);
      a.store(to + i);
      total = total + a;
    } else {
      exponential(Floats::load(x + i, m) - t).store(to + i, m);
      // What lies behind the row is not its sum's.
      total = total + Floats::load(to + i, m);
    }
  }
  return (total + other).sum();
}

}  // namespace tensorlogic::TENSORLOGIC_SET
