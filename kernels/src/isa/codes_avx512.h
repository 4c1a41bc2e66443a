// Codes of packed weights (codes_portable.h says what each name means) with AVX-512 F, BW, VL and DQ.
#pragma once

#include "isa/bytes_avx2.h"

namespace tensorlogic::TENSORLOGIC_SET {

// For sixteen codes of `bits` at the beginning of sixteen bytes, as Spread for eight.
template <int bits>
struct WideSpread {
  alignas(64) uint8_t bytes[64];
  alignas(64) int32_t shifts[16];
  constexpr WideSpread() : bytes(), shifts() {
    for (int i = 0; i < 16; ++i) {
      int position = i * bits, first = position / 8;
      shifts[i] = position % 8;
      bytes[4 * i] = static_cast<uint8_t>(first);
      bytes[4 * i + 1] = first + 1 < 16 ? static_cast<uint8_t>(first + 1) : 0x80;
      bytes[4 * i + 2] = bytes[4 * i + 3] = 0x80;
    }
  }
};

template <int bits, int c>
inline __m512i sixteen_codes(const uint8_t* p) {
  static constexpr WideSpread<bits> spread;
  __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << (2 * bits)) - 1), p + c * 2 * bits);
  __m512i v = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), _mm512_load_si512(spread.bytes));
  v = _mm512_srlv_epi32(v, _mm512_load_si512(spread.shifts));
  return _mm512_and_si512(v, _mm512_set1_epi32((1 << bits) - 1));
}

inline __m512 e2m1() {
  return _mm512_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6);
}

template <int bits, bool table, int c>
inline Floats float_codes(const uint8_t* p) {
  if constexpr (bits == 8) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * c));
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))};
  } else if constexpr (table) {
    return {_mm512_permutexvar_ps(sixteen_codes<bits, c>(p), e2m1())};
  } else {
    return {_mm512_cvtepi32_ps(sixteen_codes<bits, c>(p))};
  }
}

#if defined(__AVX512VNNI__)
inline constexpr bool kSignedBytes = false;

template <int bits, bool table>
inline Floats integer_dot(const uint8_t* p, const int8_t* x) {
  __m256i codes = meaning<table>(byte_codes<bits>(p)), q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
  __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), codes, q);
  return {_mm512_zextps256_ps512(_mm256_cvtepi32_ps(sums))};
}
#else
inline constexpr bool kSignedBytes = true;

template <int bits, bool table>
inline Floats integer_dot(const uint8_t* p, const int8_t* x) {
  return {_mm512_zextps256_ps512(_mm256_cvtepi32_ps(dot_pairs<bits, table>(p, x)))};
}
#endif

}  // namespace tensorlogic::TENSORLOGIC_SET
