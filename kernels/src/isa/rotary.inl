// Rotary position embedding, in terms of `Floats`.
#include <math.h>

namespace tensorlogic::TENSORLOGIC_SET {

// Pairs or angles that are taken at a time; the loops over them in plain C are vectorized by the compiler.
constexpr int64_t kAngles = 64;

struct CosineAndSine {
  Floats cosine, sine;
};

// Of quarters + rest quarter turns, for `quarters` from -2 to 2 and `rest` from -0.5 to 0.5: polynomials for the rest
// (Cephes, cosf and sinf), and 0, 1 or -1 for the quarters.
inline CosineAndSine cosine_and_sine(Floats rest, Floats quarters) {
  Floats one = Floats::all(1.0f), two = Floats::all(2.0f);
  Floats r = rest * Floats::all(1.57079632679489661923f), square = r * r;
  Floats p = Floats::all(2.443315711809948e-5f);
  p = fma(p, square, Floats::all(-1.388731625493765e-3f));
  p = fma(p, square, Floats::all(4.166664568298827e-2f));
  Floats c = fma(p, square * square, fma(square, Floats::all(-0.5f), one));
  p = Floats::all(-1.9515295891e-4f);
  p = fma(p, square, Floats::all(8.3321608736e-3f));
  p = fma(p, square, Floats::all(-1.6666654611e-1f));
  Floats s = fma(p * square, r, r);
  Floats size = absolute(quarters), whole_c = one - size, whole_s = quarters * (two - size);
  return {c * whole_c - s * whole_s, s * whole_c + c * whole_s};
}

// Angles are float64 until they are reduced.
inline void cosines_and_sines(const double* turns, double position, float* cosines, float* sines, int64_t n) {
  float rest[kAngles] = {}, quarters[kAngles] = {};
  for (int64_t start = 0; start < n; start += kAngles) {
    const int64_t m = n - start < kAngles ? n - start : kAngles;
    for (int64_t i = 0; i < m; ++i) {
      double turn = position * turns[start + i], whole = rint(turn);
      rest[i] = static_cast<float>(turn - whole);
      quarters[i] = static_cast<float>(whole - 4 * rint(whole * 0.25));
    }
    each_vector(
        m,
        [&](int64_t i) {
          CosineAndSine of = cosine_and_sine(Floats::load(rest + i), Floats::load(quarters + i));
          of.cosine.store(cosines + start + i);
          of.sine.store(sines + start + i);
        },
        [&](int64_t i, int part) {
          CosineAndSine of = cosine_and_sine(Floats::load(rest + i), Floats::load(quarters + i));
          of.cosine.store(cosines + start + i, part);
          of.sine.store(sines + start + i, part);
        });
  }
}

inline void rotate_halves(const float* x, const float* cosines, const float* sines, float* to, int64_t half) {
  each_vector(
      half,
      [&](int64_t i) {
        Floats a = Floats::load(x + i), b = Floats::load(x + half + i);
        Floats c = Floats::load(cosines + i), s = Floats::load(sines + i);
        (a * c - b * s).store(to + i);
        (a * s + b * c).store(to + half + i);
      },
      [&](int64_t i, int m) {
        Floats a = Floats::load(x + i, m), b = Floats::load(x + half + i, m);
        Floats c = Floats::load(cosines + i, m), s = Floats::load(sines + i, m);
        (a * c - b * s).store(to + i, m);
        (a * s + b * c).store(to + half + i, m);
      });
}

inline void rotate_pairs(const float* x, const float* cosines, const float* sines, float* to, int64_t half) {
  float a[kAngles], b[kAngles];
  for (int64_t start = 0; start < half; start += kAngles) {
    const int64_t m = half - start < kAngles ? half - start : kAngles;
    const float* from = x + 2 * start;
    for (int64_t i = 0; i < m; ++i) {
      a[i] = from[2 * i];
      b[i] = from[2 * i + 1];
    }
    float* result = to + 2 * start;
    for (int64_t i = 0; i < m; ++i) {
      const float c = cosines[start + i], s = sines[start + i];
      result[2 * i] = a[i] * c - b[i] * s;
      result[2 * i + 1] = a[i] * s + b[i] * c;
    }
  }
}

}  // namespace tensorlogic::TENSORLOGIC_SET
