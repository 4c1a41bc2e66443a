// Codes of packed weights in plain C++; every set's header declares the same names.
#pragma once

#include "core/element.h"

namespace tensorlogic::TENSORLOGIC_SET {

// Whether `byte_codes` are 128 less than the codes where these have 8 bits, so that they fit a signed byte.
inline constexpr bool kSignedBytes = false;

// Codes 8 c to 8 c + 7 of the 32 at `p`, which fill 4 * bits bytes.
template <int bits>
inline void eight_codes(const uint8_t* p, int c, uint8_t* to) {
  uint64_t word = 0;
  std::memcpy(&word, p + c * bits, bits);
  for (int i = 0; i < 8; ++i) to[i] = static_cast<uint8_t>((word >> (i * bits)) & ((1u << bits) - 1));
}

inline constexpr float kE2M1[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

// Codes c * width to (c + 1) * width - 1 of the 32 at `p` as floats; under `table` what E2M1 says they mean.
template <int bits, bool table, int c>
inline Floats float_codes(const uint8_t* p) {
  uint8_t codes[8];
  eight_codes<bits>(p, c, codes);
  Floats r;
  for (int i = 0; i < 8; ++i) r.v[i] = table ? kE2M1[codes[i]] : codes[i];
  return r;
}

// Twice what E2M1 says a code means, plus 12: a whole number from 0 to 24.
inline constexpr uint8_t kE2M1Bytes[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

// Sums of products of the 32 codes at `p` and 32 signed bytes: the items' total is the sum of all, and each is exact.
// Under `table` a code counts as its kE2M1Bytes.
template <int bits, bool table>
inline Floats integer_dot(const uint8_t* p, const int8_t* x) {
  Floats r = Floats::zero();
  for (int c = 0; c < 4; ++c) {
    uint8_t codes[8];
    eight_codes<bits>(p, c, codes);
    int total = 0;
    for (int i = 0; i < 8; ++i) total += (table ? kE2M1Bytes[codes[i]] : codes[i]) * x[8 * c + i];
    r.v[c] = static_cast<float>(total);
  }
  return r;
}

}  // namespace tensorlogic::TENSORLOGIC_SET
