// Many rows of x times packed rows with AVX-512 VNNI, by the integers of packed_avx512.inl.
//
// The codes of 32 rows of w become a tile in which a lane is a row: for each block of 32 codes eight steps of four codes,
// two vectors of sixteen rows a step. Four rows of x meet a tile at a time, their bytes broadcast four by four; a block's
// sums are whole numbers below 2^31, then meet the scales of their rows and the step of their activations, and the biases
// meet the activations' sum. With three digits the lowest goes alone, since 32 products of all three would not fit, and is
// left out in blocks where it is 0.

namespace tensorlogic::TENSORLOGIC_SET {

inline constexpr int kTile = 32;

// Sixteen vectors of sixteen 32-bit items, rows and columns exchanged.
inline void transpose_16(__m512i* r) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Now r[4 i + j] holds, in its four quarters, columns j, 4 + j, 8 + j and 12 + j of rows 4 i to 4 i + 3.
  for (int j = 0; j < 4; ++j) {
    __m512i a = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88), b = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
    __m512i c = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd), d = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
    t[j] = _mm512_shuffle_i32x4(a, b, 0x88);
    t[8 + j] = _mm512_shuffle_i32x4(a, b, 0xdd);
    t[4 + j] = _mm512_shuffle_i32x4(c, d, 0x88);
    t[12 + j] = _mm512_shuffle_i32x4(c, d, 0xdd);
  }
  for (int i = 0; i < 16; ++i) r[i] = t[i];
}

// 64 codes of a row from code `at`, as bytes in their order; those behind the row's end are 0.
template <int bits, bool table>
inline __m512i codes_in_order(const uint8_t* row, int64_t at, int64_t width) {
  int64_t left = (width - at) * bits / 8;
  const uint8_t* p = row + at * bits / 8;
  constexpr int line = 64 * bits / 8;
  __mmask64 mask = left >= line ? (line == 64 ? ~0ull : (1ull << (line % 64)) - 1) : (1ull << left) - 1;
  if constexpr (bits == 4) {
    const __m512i low = _mm512_set1_epi8(15);
    // Each quarter takes the eight bytes of sixteen codes.
    __m256i half = _mm256_maskz_loadu_epi8(static_cast<__mmask32>(mask), p);
    __m512i v = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3), _mm512_castsi256_si512(half));
    __m512i codes = _mm512_unpacklo_epi8(_mm512_and_si512(v, low), _mm512_and_si512(_mm512_srli_epi16(v, 4), low));
    return table ? e2m1_bytes(codes) : codes;
  } else {
    return low_bits<bits>(unpacked<bits>(p, mask));
  }
}

// Rows `first` to `last` of w, at most kTile of them, as a tile: `kTile` times the width in whole blocks of 64 bytes.
template <int bits, bool table>
inline void fill_tile(const PackedMatrix& w, int64_t first, int64_t last, uint8_t* tile) {
  for (int64_t at = 0; at < w.width; at += 64) {
    for (int half = 0; half < 2; ++half) {
      __m512i rows[16];
      for (int i = 0; i < 16; ++i) {
        int64_t n = first + 16 * half + i;
        rows[i] = n < last ? codes_in_order<bits, table>(w.codes + n * w.row_bytes(), at, w.width)
                           : _mm512_setzero_si512();
      }
      transpose_16(rows);
      for (int step = 0; step < 16; ++step) _mm512_storeu_si512(tile + at * kTile + step * 128 + half * 64, rows[step]);
    }
  }
}

inline void fill_codes(const PackedMatrix& w, int64_t first, int64_t last, uint8_t* tile) {
  TENSORLOGIC_BY_LAYOUT(w, fill_tile, w, first, last, tile);
}

// `G`: how many codes have one scale here, 16 or 32; with 16 a block is taken in two parts.
template <int digits, int R, int G>
inline void row_products(const DigitRows& x, int64_t row, int64_t blocks, const uint8_t* tile, const float* factors,
                         float* y, int64_t y_stride, __mmask16 mask_a, __mmask16 mask_b) {
  __m512 total_a[R], total_b[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) total_a[r] = total_b[r] = _mm512_setzero_ps();
  const int8_t* codes = x.codes + row * x.stride;
  const float* steps = x.steps + row * blocks;
  const float* sums = x.sums + row * 2 * blocks;
  const uint8_t* lowest = x.lowest + row * blocks;
  const int64_t parts = blocks * 32 / G;
  // The biases first: with their products in the loop below there would be more vectors than registers.
  for (int64_t i = 0; i < parts; ++i) {
    const float* biases = factors + (2 * i + 1) * kTile;
    const __m512 bias_a = _mm512_loadu_ps(biases), bias_b = _mm512_loadu_ps(biases + 16);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const float* of_16 = sums + 2 * r * blocks + i * G / 16;
      __m512 sum = _mm512_set1_ps(G == 16 ? of_16[0] : of_16[0] + of_16[1]);
      total_a[r] = _mm512_fmadd_ps(bias_a, sum, total_a[r]);
      total_b[r] = _mm512_fmadd_ps(bias_b, sum, total_b[r]);
    }
  }
  for (int64_t i = 0; i < parts; ++i, tile += G * kTile, factors += 2 * kTile) {
    const int64_t b = i * G / 32;
    __m512i a[R], c[R];
    auto add_digit = [&](int digit) __attribute__((always_inline)) {
      const int8_t* p = codes + digit * x.plane + G * i;
#pragma GCC unroll 8
      for (int step = 0; step < G / 4; ++step) {
        __m512i wa = _mm512_loadu_si512(tile + step * 128), wb = _mm512_loadu_si512(tile + step * 128 + 64);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          int32_t four;
          __builtin_memcpy(&four, p + r * x.stride + 4 * step, 4);
          __m512i v = _mm512_set1_epi32(four);
          a[r] = _mm512_dpbusd_epi32(a[r], wa, v);
          c[r] = _mm512_dpbusd_epi32(c[r], wb, v);
        }
      }
    };
    auto add_to_totals = [&](float worth) __attribute__((always_inline)) {
      // Loaded here and no earlier, for want of registers.
      asm volatile("" : "+r"(factors));
      const __m512 scale_a = _mm512_loadu_ps(factors), scale_b = _mm512_loadu_ps(factors + 16);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        __m512 step = _mm512_set1_ps(steps[r * blocks + b] * worth);
        total_a[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(a[r]), _mm512_mul_ps(scale_a, step), total_a[r]);
        total_b[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(c[r]), _mm512_mul_ps(scale_b, step), total_b[r]);
      }
    };
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) a[r] = c[r] = _mm512_setzero_si512();
    add_digit(0);
    if constexpr (digits == 1) {
      add_to_totals(1.0f);
    } else {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) a[r] = _mm512_slli_epi32(a[r], 8), c[r] = _mm512_slli_epi32(c[r], 8);
      add_digit(1);
      add_to_totals(256.0f);
      int any = 0;
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) any |= lowest[r * blocks + b];
      if (any) {
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) a[r] = c[r] = _mm512_setzero_si512();
        add_digit(2);
        add_to_totals(1.0f);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    _mm512_mask_storeu_ps(y + r * y_stride, mask_a, total_a[r]);
    _mm512_mask_storeu_ps(y + r * y_stride + 16, mask_b, total_b[r]);
  }
}

template <int digits, int G>
inline void tile_products(const DigitRows& x, int64_t blocks, int64_t columns, const uint8_t* tile, const float* factors,
                          float* y, int64_t y_stride) {
  auto mask = [&](int64_t n) { return static_cast<__mmask16>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1); };
  __mmask16 a = mask(columns), b = mask(columns - 16);
  int64_t row = 0;
  auto take = [&]<int R>() {
    for (; row + R <= x.count; row += R) {
      row_products<digits, R, G>(x, row, blocks, tile, factors, y + row * y_stride, y_stride, a, b);
    }
  };
  take.template operator()<4>();
  take.template operator()<2>();
  take.template operator()<1>();
}

inline void multiply_tile(const DigitRows& x, const PackedMatrix& w, int64_t columns, const uint8_t* tile,
                          const float* factors, float* y, int64_t y_stride) {
  auto products = w.group == 16 ? (x.digits == 1 ? tile_products<1, 16> : tile_products<3, 16>)
                                : (x.digits == 1 ? tile_products<1, 32> : tile_products<3, 32>);
  products(x, w.width / 32, columns, tile, factors, y, y_stride);
}

// Rows `first` to `last` of x as digits, with the step of each block and the sums of its halves.
inline void quantize_rows(const float* x, int64_t x_stride, int64_t first, int64_t last, int64_t width, DigitRows& to) {
  const int64_t blocks = width / 32;
  for (int64_t r = first; r < last; ++r) {
    for (int64_t b = 0; b < blocks; ++b) {
      const float* block = x + r * x_stride + 32 * b;
      int8_t* codes = to.codes + r * to.stride + 32 * b;
      const Multiples found = to.digits == 1 ? multiples<1>(block) : multiples<3>(block, to.to_16_bits);
      to.lowest[r * blocks + b] =
          to.digits == 1 ? !write_digits<1>(found, codes, to.plane) : !write_digits<3>(found, codes, to.plane);
      to.steps[r * blocks + b] = found.step;
      to.sums[2 * (r * blocks + b)] = found.step * found.first_half();
      to.sums[2 * (r * blocks + b) + 1] = found.step * found.second_half();
    }
  }
}

// For each block of a tile, or each group of 16, the scales of its rows, then their biases; 0 for rows that are not there.
inline void tile_factors(const PackedMatrix& w, int64_t first, int64_t last, float* factors) {
  const int64_t groups = w.groups(), parts_of_group = w.group == 16 ? 1 : w.group / 32;
  for (int64_t from = 0; from < kTile; from += 16) {
    for (int64_t start = 0; start < groups; start += 16) {
      const int64_t count = groups - start < 16 ? groups - start : 16;
      // Of sixteen rows each, then of sixteen groups each.
      __m512i scales[16], biases[16];
      for (int i = 0; i < 16; ++i) {
        alignas(64) float of_scales[16] = {}, of_biases[16] = {};
        if (first + from + i < last) group_factors(w, first + from + i, start, count, true, of_scales, of_biases);
        scales[i] = _mm512_load_si512(of_scales);
        biases[i] = _mm512_load_si512(of_biases);
      }
      transpose_16(scales);
      transpose_16(biases);
      for (int64_t i = 0; i < count * parts_of_group; ++i) {
        float* to = factors + (start * parts_of_group + i) * 2 * kTile + from;
        _mm512_storeu_si512(to, scales[i / parts_of_group]);
        _mm512_storeu_si512(to + kTile, biases[i / parts_of_group]);
      }
    }
  }
}

}  // namespace tensorlogic::TENSORLOGIC_SET
