// `Floats` (floats_portable.h says what each name means) with NEON of arm64: two vectors of four.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace tensorlogic::TENSORLOGIC_SET {

struct Floats {
  static constexpr int width = 8;
  float32x4_t low, high;

  static float32x4_t load_three(const float* p, int n) {
    float32x4_t v = vdupq_n_f32(0);
    if (n > 0) v = vld1q_lane_f32(p, v, 0);
    if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
  }
  static void store_three(float* p, int n, float32x4_t v) {
    if (n > 0) vst1q_lane_f32(p, v, 0);
    if (n > 1) vst1q_lane_f32(p + 1, v, 1);
    if (n > 2) vst1q_lane_f32(p + 2, v, 2);
  }
  static uint16x4_t half_of_bf16(float32x4_t v) {
    uint32x4_t bits = vreinterpretq_u32_f32(v), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t even = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), even, quiet), 16);
  }

  static Floats zero() { return all(0); }
  static Floats all(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
  static Floats load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
  static Floats load(const float* p, int n) {
    if (n < 4) return {load_three(p, n), vdupq_n_f32(0)};
    return {vld1q_f32(p), load_three(p + 4, n - 4)};
  }
  void store(float* p) const {
    vst1q_f32(p, low);
    vst1q_f32(p + 4, high);
  }
  void store(float* p, int n) const {
    if (n < 4) return store_three(p, n, low);
    vst1q_f32(p, low);
    store_three(p + 4, n - 4, high);
  }
  static Floats from_f16(const uint16_t* p) {
    float16x8_t v = vreinterpretq_f16_u16(vld1q_u16(p));
    return {vcvt_f32_f16(vget_low_f16(v)), vcvt_high_f32_f16(v)};
  }
  static Floats from_bf16(const uint16_t* p) {
    uint16x8_t v = vld1q_u16(p);
    return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(v), 16)),
            vreinterpretq_f32_u32(vshll_high_n_u16(v, 16))};
  }
  void to_f16(uint16_t* p) const {
    vst1q_u16(p, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(low), high)));
  }
  void to_bf16(uint16_t* p) const { vst1q_u16(p, vcombine_u16(half_of_bf16(low), half_of_bf16(high))); }
  float sum() const { return vaddvq_f32(vaddq_f32(low, high)); }
  float largest() const { return vmaxvq_f32(vmaxq_f32(low, high)); }
  Floats rounded() const { return {vrndnq_f32(low), vrndnq_f32(high)}; }
  Floats power_of_two() const {
    int32x4_t bias = vdupq_n_s32(127);
    return {vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(low), bias), 23)),
            vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(high), bias), 23))};
  }
};

inline Floats operator+(Floats a, Floats b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
inline Floats operator-(Floats a, Floats b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
inline Floats operator*(Floats a, Floats b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
inline Floats operator/(Floats a, Floats b) { return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
inline Floats fma(Floats a, Floats b, Floats c) {
  return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
}
// By comparison, since FMAX and FMIN give NaN where either operand is one, not the second.
inline Floats max(Floats a, Floats b) {
  return {vbslq_f32(vcgtq_f32(a.low, b.low), a.low, b.low), vbslq_f32(vcgtq_f32(a.high, b.high), a.high, b.high)};
}
inline Floats min(Floats a, Floats b) {
  return {vbslq_f32(vcltq_f32(a.low, b.low), a.low, b.low), vbslq_f32(vcltq_f32(a.high, b.high), a.high, b.high)};
}
inline Floats absolute(Floats a) { return {vabsq_f32(a.low), vabsq_f32(a.high)}; }

// Item i is the sum of v[i].
inline Floats sums(const Floats* v) {
  float32x4_t half[8];
  for (int i = 0; i < 8; ++i) half[i] = vaddq_f32(v[i].low, v[i].high);
  return {vpaddq_f32(vpaddq_f32(half[0], half[1]), vpaddq_f32(half[2], half[3])),
          vpaddq_f32(vpaddq_f32(half[4], half[5]), vpaddq_f32(half[6], half[7]))};
}

}  // namespace tensorlogic::TENSORLOGIC_SET
