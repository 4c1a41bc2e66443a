// Codes of packed weights as integers with AVX2: what AVX-512 without VBMI uses, too.
#pragma once

#include <immintrin.h>

#include "core/element.h"

namespace tensorlogic::TENSORLOGIC_SET {

// For the eight codes of `bits` that begin at byte `offset` of eight bytes: which byte each code's lane begins with, and
// by how many bits it is shifted there. A code spans two bytes at most.
template <int bits, int offset>
struct Spread {
  alignas(32) uint8_t bytes[32];
  alignas(32) int32_t shifts[8];
  constexpr Spread() : bytes(), shifts() {
    for (int i = 0; i < 8; ++i) {
      int position = offset * 8 + i * bits, first = position / 8;
      shifts[i] = position % 8;
      bytes[4 * i] = static_cast<uint8_t>(first);
      bytes[4 * i + 1] = first + 1 < 8 ? static_cast<uint8_t>(first + 1) : 0x80;
      bytes[4 * i + 2] = bytes[4 * i + 3] = 0x80;
    }
  }
};

// Codes 8 c to 8 c + 7 as 32-bit integers. Eight bytes are read, those of the last codes from the group's end.
template <int bits, int c>
inline __m256i wide_codes(const uint8_t* p) {
  constexpr int from = c * bits < 4 * bits - 8 ? c * bits : 4 * bits - 8;
  static constexpr Spread<bits, c * bits - from> spread;
  int64_t word;
  std::memcpy(&word, p + from, 8);
  __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi64x(word),
                                  _mm256_load_si256(reinterpret_cast<const __m256i*>(spread.bytes)));
  v = _mm256_srlv_epi32(v, _mm256_load_si256(reinterpret_cast<const __m256i*>(spread.shifts)));
  return _mm256_and_si256(v, _mm256_set1_epi32((1 << bits) - 1));
}

// The 32 codes at `p` as bytes, in their order.
template <int bits>
inline __m256i byte_codes(const uint8_t* p) {
  if constexpr (bits == 8) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  } else if constexpr (bits == 4) {
    __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), low = _mm_set1_epi8(15);
    __m128i even = _mm_and_si128(v, low), odd = _mm_and_si128(_mm_srli_epi16(v, 4), low);
    return _mm256_set_m128i(_mm_unpackhi_epi8(even, odd), _mm_unpacklo_epi8(even, odd));
  } else {
    __m256i low = _mm256_packus_epi32(wide_codes<bits, 0>(p), wide_codes<bits, 1>(p));
    __m256i high = _mm256_packus_epi32(wide_codes<bits, 2>(p), wide_codes<bits, 3>(p));
    // Packing works in halves of 128 bits: the order of the groups of four is put right at the end.
    __m256i mixed = _mm256_packus_epi16(low, high);
    return _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
}

// What `codes` mean in bytes.
template <bool table>
inline __m256i meaning(__m256i codes) {
  if constexpr (!table) return codes;
  __m128i bytes = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), codes);
}

// The sums of integer_dot, eight 32-bit integers.
template <int bits, bool table>
inline __m256i dot_pairs(const uint8_t* p, const int8_t* x) {
  __m256i codes = meaning<table>(byte_codes<bits>(p));
  __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x));
  if constexpr (bits == 8) {
    // maddubs wants one unsigned side: the sign of the code goes to the other. 2 * 128 * 127 fits 16 bits.
    codes = _mm256_xor_si256(codes, _mm256_set1_epi8(-128));
    q = _mm256_sign_epi8(q, codes);
    codes = _mm256_abs_epi8(codes);
  }
  __m256i pairs = _mm256_maddubs_epi16(codes, q);
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

}  // namespace tensorlogic::TENSORLOGIC_SET
