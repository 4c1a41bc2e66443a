// Codes of packed weights (codes_portable.h says what each name means) with AVX2.
#pragma once

#include "isa/bytes_avx2.h"

namespace tensorlogic::TENSORLOGIC_SET {

inline constexpr bool kSignedBytes = true;

template <int bits, bool table, int c>
inline Floats float_codes(const uint8_t* p) {
  if constexpr (bits == 8) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8 * c))))};
  } else if constexpr (table) {
    // The magnitude by the low three bits, the sign by the fourth.
    __m256i codes = wide_codes<bits, c>(p);
    __m256 magnitude = _mm256_permutevar8x32_ps(_mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6), codes);
    __m256i sign = _mm256_slli_epi32(_mm256_and_si256(codes, _mm256_set1_epi32(8)), 28);
    return {_mm256_xor_ps(magnitude, _mm256_castsi256_ps(sign))};
  } else {
    return {_mm256_cvtepi32_ps(wide_codes<bits, c>(p))};
  }
}

template <int bits, bool table>
inline Floats integer_dot(const uint8_t* p, const int8_t* x) {
  return {_mm256_cvtepi32_ps(dot_pairs<bits, table>(p, x))};
}

}  // namespace tensorlogic::TENSORLOGIC_SET
