// Codes of packed weights (codes_portable.h says what each name means) with NEON and its dot products of signed bytes
// (SDOT, Armv8.2).
#pragma once

#include <arm_neon.h>

#include "core/element.h"

namespace tensorlogic::TENSORLOGIC_SET {

inline constexpr bool kSignedBytes = true;

// For the eight codes of `bits` that begin at byte `offset` of eight bytes: the two bytes that each code's lane of 16
// bits takes, the last of them perhaps the zero behind the eight; and by how many bits it is shifted there (to the left,
// so the number is negative).
template <int bits, int offset>
struct Spread {
  alignas(16) uint8_t bytes[16];
  alignas(16) int16_t shifts[8];
  constexpr Spread() : bytes(), shifts() {
    for (int i = 0; i < 8; ++i) {
      int position = offset * 8 + i * bits, first = position / 8;
      shifts[i] = static_cast<int16_t>(-(position % 8));
      bytes[2 * i] = static_cast<uint8_t>(first);
      bytes[2 * i + 1] = static_cast<uint8_t>(first + 1);
    }
  }
};

// Codes 8 c to 8 c + 7 as 16-bit integers. Eight bytes are read, those of the last codes from the group's end.
template <int bits, int c>
inline uint16x8_t wide_codes(const uint8_t* p) {
  if constexpr (bits == 8) {
    return vmovl_u8(vld1_u8(p + 8 * c));
  } else {
    constexpr int from = c * bits < 4 * bits - 8 ? c * bits : 4 * bits - 8;
    static constexpr Spread<bits, c * bits - from> spread;
    uint8x16_t word = vcombine_u8(vld1_u8(p + from), vdup_n_u8(0));
    uint16x8_t v = vreinterpretq_u16_u8(vqtbl1q_u8(word, vld1q_u8(spread.bytes)));
    return vandq_u16(vshlq_u16(v, vld1q_s16(spread.shifts)), vdupq_n_u16((1 << bits) - 1));
  }
}

template <int bits, bool table, int c>
inline Floats float_codes(const uint8_t* p) {
  uint16x8_t codes = wide_codes<bits, c>(p);
  if constexpr (table) {
    // E2M1 in float16 has its bits in the upper byte alone.
    static constexpr uint8_t upper[16] = {0x00, 0x38, 0x3c, 0x3e, 0x40, 0x42, 0x44, 0x46,
                                          0x80, 0xb8, 0xbc, 0xbe, 0xc0, 0xc2, 0xc4, 0xc6};
    uint16x8_t looked_up = vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8(upper), vreinterpretq_u8_u16(codes)));
    float16x8_t halves = vreinterpretq_f16_u16(vshlq_n_u16(looked_up, 8));
    return {vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)};
  } else {
    return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(codes))), vcvtq_f32_u32(vmovl_high_u16(codes))};
  }
}

// Codes 0 to 15 (`half` 0) or 16 to 31 of the 32 at `p` as bytes, in their order.
template <int bits, int half>
inline uint8x16_t byte_codes(const uint8_t* p) {
  if constexpr (bits == 8) {
    return vld1q_u8(p + 16 * half);
  } else if constexpr (bits == 4) {
    uint8x8_t v = vld1_u8(p + 8 * half), even = vand_u8(v, vdup_n_u8(15)), odd = vshr_n_u8(v, 4);
    return vcombine_u8(vzip1_u8(even, odd), vzip2_u8(even, odd));
  } else {
    uint8x16_t first = vreinterpretq_u8_u16(wide_codes<bits, 2 * half>(p));
    return vuzp1q_u8(first, vreinterpretq_u8_u16(wide_codes<bits, 2 * half + 1>(p)));
  }
}

template <int bits, bool table, int half>
inline float32x4_t half_dot(const uint8_t* p, const int8_t* x) {
  uint8x16_t codes = byte_codes<bits, half>(p);
  if constexpr (table) {
    static constexpr uint8_t bytes[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
    codes = vqtbl1q_u8(vld1q_u8(bytes), codes);
  }
  if constexpr (bits == 8) codes = veorq_u8(codes, vdupq_n_u8(0x80));
  return vcvtq_f32_s32(vdotq_s32(vdupq_n_s32(0), vreinterpretq_s8_u8(codes), vld1q_s8(x + 16 * half)));
}

template <int bits, bool table>
inline Floats integer_dot(const uint8_t* p, const int8_t* x) {
  return {half_dot<bits, table, 0>(p, x), half_dot<bits, table, 1>(p, x)};
}

}  // namespace tensorlogic::TENSORLOGIC_SET
