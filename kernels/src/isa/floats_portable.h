// `Floats`: eight float32 in plain C++, the form that the other instruction sets are tested against. Every set's header
// declares the same names; the kernels (*.inl) are written in them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace tensorlogic::TENSORLOGIC_SET {

struct Floats {
  static constexpr int width = 8;
  float v[8];

  static Floats zero() { return all(0); }
  static Floats all(float x) {
    Floats r;
    for (float& y : r.v) y = x;
    return r;
  }
  static Floats load(const float* p) {
    Floats r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  // The first `n` < width items; the others are 0 and their memory is not touched.
  static Floats load(const float* p, int n) {
    Floats r = zero();
    for (int i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  void store(float* p) const { std::memcpy(p, v, sizeof v); }
  void store(float* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
  static Floats from_f16(const uint16_t* p) {
    Floats r;
    for (int i = 0; i < width; ++i) {
      // Shifts into place, then scales by the difference of the exponents' biases: right for subnormals, too.
      uint32_t h = p[i], sign = (h & 0x8000) << 16, rest = (h & 0x7fff) << 13;
      uint32_t bits = (h & 0x7c00) == 0x7c00 ? (rest | 0x7f800000) : rest;
      float f;
      std::memcpy(&f, &bits, 4);
      if ((h & 0x7c00) != 0x7c00) f *= 0x1p112f;
      std::memcpy(&bits, &f, 4);
      bits |= sign;
      std::memcpy(&r.v[i], &bits, 4);
    }
    return r;
  }
  static Floats from_bf16(const uint16_t* p) {
    Floats r;
    for (int i = 0; i < width; ++i) {
      uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
      std::memcpy(&r.v[i], &bits, 4);
    }
    return r;
  }
  // To the nearest, ties to even, as IEEE 754 rounds.
  void to_f16(uint16_t* p) const {
    for (int i = 0; i < width; ++i) {
      uint32_t bits;
      std::memcpy(&bits, &v[i], 4);
      uint32_t sign = (bits >> 16) & 0x8000, rest = bits & 0x7fffffff;
      if (rest > 0x7f800000) {
        p[i] = static_cast<uint16_t>(sign | 0x7e00);
      } else if (rest >= 0x477ff000) {
        p[i] = static_cast<uint16_t>(sign | 0x7c00);
      } else if (rest < 0x38800000) {
        // A subnormal: adding 0.5 leaves its digits, rounded, in the lowest bits.
        float f;
        std::memcpy(&f, &rest, 4);
        f += 0.5f;
        std::memcpy(&rest, &f, 4);
        p[i] = static_cast<uint16_t>(sign | (rest - 0x3f000000));
      } else {
        rest += 0xfff + ((rest >> 13) & 1);
        p[i] = static_cast<uint16_t>(sign | ((rest - 0x38000000) >> 13));
      }
    }
  }
  void to_bf16(uint16_t* p) const {
    for (int i = 0; i < width; ++i) {
      uint32_t bits;
      std::memcpy(&bits, &v[i], 4);
      bool nan = (bits & 0x7fffffff) > 0x7f800000;
      p[i] = static_cast<uint16_t>(nan ? (bits >> 16) | 0x40 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
    }
  }
  float sum() const { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }
  // Of numbers; where one is NaN, any of the items.
  float largest() const {
    float m = v[0];
    for (float x : v) m = x > m ? x : m;
    return m;
  }
  Floats rounded() const {
    Floats r;
    for (int i = 0; i < width; ++i) r.v[i] = std::nearbyintf(v[i]);
    return r;
  }
  // 2 to the power of whole numbers from -126 to 127; of -127 0, and of NaN any number.
  Floats power_of_two() const {
    Floats r;
    for (int i = 0; i < width; ++i) {
      int exponent = v[i] == v[i] ? static_cast<int>(v[i]) : 0;
      uint32_t bits = static_cast<uint32_t>(exponent + 127) << 23;
      std::memcpy(&r.v[i], &bits, 4);
    }
    return r;
  }
};

#define TENSORLOGIC_EACH(expression)                               \
  Floats r;                                                        \
  for (int i = 0; i < Floats::width; ++i) r.v[i] = (expression); \
  return r

inline Floats operator+(Floats a, Floats b) { TENSORLOGIC_EACH(a.v[i] + b.v[i]); }
inline Floats operator-(Floats a, Floats b) { TENSORLOGIC_EACH(a.v[i] - b.v[i]); }
inline Floats operator*(Floats a, Floats b) { TENSORLOGIC_EACH(a.v[i] * b.v[i]); }
inline Floats operator/(Floats a, Floats b) { TENSORLOGIC_EACH(a.v[i] / b.v[i]); }
// a * b + c
inline Floats fma(Floats a, Floats b, Floats c) { TENSORLOGIC_EACH(a.v[i] * b.v[i] + c.v[i]); }
// Where either is NaN, max and min give the second.
inline Floats max(Floats a, Floats b) { TENSORLOGIC_EACH(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
inline Floats min(Floats a, Floats b) { TENSORLOGIC_EACH(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
inline Floats absolute(Floats a) { TENSORLOGIC_EACH(std::fabs(a.v[i])); }

#undef TENSORLOGIC_EACH

}  // namespace tensorlogic::TENSORLOGIC_SET
