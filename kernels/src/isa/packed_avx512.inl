// Rows of floats times packed rows with AVX-512 VNNI and VBMI, by integers throughout.
//
// `prepare` writes each block of 32 activations as whole multiples of one step: under int8 in one signed byte (step =
// largest / 127), else in three, digits to the base 256 (step = largest / 127 / 65536). The latter are 24-bit numbers: an
// item is off by at most 2^-24 of its block's largest, which is what adding it to that one in float32 would lose. Where
// float16 is enough two digits may be. Products with codes are then exact, and a line of codes costs the same few
// instructions for each digit.
//
// A block is one 64-byte line of 4-bit codes (128 of them) or 64 codes of another width. Each of its sixteen 32-bit lanes
// holds codes of one group, so that a whole block is summed before it meets its scales, a lane each. Activations stand in
// the order of the codes; for 4 bits, a block's even ones before its odd ones.
//
// Decoding is bound by memory: lines are asked for `kAhead` bytes before they are used.

namespace tensorlogic::TENSORLOGIC_SET {

inline constexpr int kAhead = 2048;

inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }

template <int bits>
inline constexpr int kBlock = bits == 4 ? 128 : 64;

// Codes 8 c to 8 c + 7 of a block begin at byte `bits` * c: each 64-bit lane gets the bytes of its eight codes, and every
// byte of it is then taken from its own bit.
template <int bits>
struct Unpack {
  alignas(64) uint8_t bytes[64];
  alignas(64) uint8_t from_bit[64];
  constexpr Unpack() : bytes(), from_bit() {
    for (int lane = 0; lane < 8; ++lane) {
      for (int i = 0; i < 8; ++i) {
        bytes[8 * lane + i] = static_cast<uint8_t>(lane * bits + (i < bits ? i : 0));
        from_bit[8 * lane + i] = static_cast<uint8_t>(i * bits);
      }
    }
  }
};

// A block of 4-bit codes as it is, or 64 codes as bytes, in their order, the bits above a code not cleared. `mask`: the
// bytes that the row still has.
template <int bits>
inline __m512i unpacked(const uint8_t* p, __mmask64 mask) {
  __m512i v = _mm512_maskz_loadu_epi8(mask, p);
  if constexpr (bits == 4 || bits == 8) return v;
  static constexpr Unpack<bits> unpack;
  v = _mm512_permutexvar_epi8(_mm512_load_si512(unpack.bytes), v);
  return _mm512_multishift_epi64_epi8(_mm512_load_si512(unpack.from_bit), v);
}

template <int bits>
inline __m512i low_bits(__m512i v) {
  return bits == 8 ? v : _mm512_and_si512(v, _mm512_set1_epi8((1 << bits) - 1));
}

// Which of a block's groups each lane belongs to, as an index for a permutation.
template <int bits>
inline __m512i group_of_lane(int group) {
  const int lanes = group * 16 / kBlock<bits>;
  alignas(64) int32_t index[16];
  for (int i = 0; i < 16; ++i) index[i] = lanes >= 16 ? 0 : i / lanes;
  return _mm512_load_si512(index);
}

template <Element e>
inline __m128 four_floats(const void* base, int64_t at, __mmask8 mask) {
  if constexpr (e == Element::f32) return _mm_maskz_loadu_ps(mask, static_cast<const float*>(base) + at);
  __m128i v = _mm_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(base) + at);
  if constexpr (e == Element::f16) return _mm_cvtph_ps(v);
  return _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(v), 16));
}

// Twice what E2M1 says a code means, plus 12, for each low nibble.
inline __m512i e2m1_bytes(__m512i nibbles) {
  const __m128i bytes = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), nibbles);
}

// The sums of a block's codes times activations, as floats: for 24-bit activations the digits' sums one above the other,
// which fit 32 bits but for 8-bit codes. `digit`: how far apart the rows of digits are.
template <int bits, bool table, int digits>
inline __m512 block_products(__m512i v, const int8_t* x, int64_t digit) {
  __m512i zero = _mm512_setzero_si512();
  if constexpr (bits == 4) {
    const __m512i low = _mm512_set1_epi8(15);
    __m512i even = _mm512_and_si512(v, low), odd = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
    if constexpr (table) even = e2m1_bytes(even), odd = e2m1_bytes(odd);
    __m512i sum = _mm512_dpbusd_epi32(zero, even, _mm512_loadu_si512(x));
    sum = _mm512_dpbusd_epi32(sum, odd, _mm512_loadu_si512(x + 64));
#pragma GCC unroll 2
    for (int d = 1; d < digits; ++d) {
      sum = _mm512_dpbusd_epi32(_mm512_slli_epi32(sum, 8), even, _mm512_loadu_si512(x + d * digit));
      sum = _mm512_dpbusd_epi32(sum, odd, _mm512_loadu_si512(x + d * digit + 64));
    }
    return _mm512_cvtepi32_ps(sum);
  } else {
    __m512i codes = low_bits<bits>(v);
    __m512i sum = _mm512_dpbusd_epi32(zero, codes, _mm512_loadu_si512(x));
    if constexpr (digits == 1) return _mm512_cvtepi32_ps(sum);
    if constexpr (digits == 2) {
      sum = _mm512_dpbusd_epi32(_mm512_slli_epi32(sum, 8), codes, _mm512_loadu_si512(x + digit));
      return _mm512_cvtepi32_ps(sum);
    }
    __m512 high = _mm512_cvtepi32_ps(sum);
    sum = _mm512_dpbusd_epi32(bits == 8 ? zero : _mm512_slli_epi32(sum, 8), codes, _mm512_loadu_si512(x + digit));
    sum = _mm512_dpbusd_epi32(_mm512_slli_epi32(sum, 8), codes, _mm512_loadu_si512(x + 2 * digit));
    __m512 all = _mm512_cvtepi32_ps(sum);
    return bits == 8 ? _mm512_fmadd_ps(high, _mm512_set1_ps(65536), all) : all;
  }
}

// The sum over a row's groups of bias * (sum of x).
template <Element e>
inline __m512 bias_products(const void* biases, int64_t first, const float* sums, int64_t groups) {
  __m512 total = _mm512_setzero_ps();
  for (int64_t g = 0; g < groups; g += 16) {
    auto mask = static_cast<__mmask16>(groups - g >= 16 ? 0xffff : (1 << (groups - g)) - 1);
    __m512 v;
    if constexpr (e == Element::f32) {
      v = _mm512_maskz_loadu_ps(mask, static_cast<const float*>(biases) + first + g);
    } else {
      __m256i half = _mm256_maskz_loadu_epi16(mask, static_cast<const uint16_t*>(biases) + first + g);
      v = e == Element::f16 ? _mm512_cvtph_ps(half)
                            : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
    }
    total = _mm512_fmadd_ps(v, _mm512_loadu_ps(sums + g), total);
  }
  return total;
}

// Halves of the powers of two that bytes of mxfp4 mean, halves since its codes count twice; 255 is NaN.
inline __m512 half_powers(__m512i bytes) {
  // The least power is subnormal, and so is its half.
  __m512 power = _mm512_mul_ps(_mm512_castsi512_ps(_mm512_slli_epi32(bytes, 23)), _mm512_set1_ps(0.5f));
  power = _mm512_mask_mov_ps(power, _mm512_cmpeq_epi32_mask(bytes, _mm512_setzero_si512()), _mm512_set1_ps(0x1p-128f));
  return _mm512_mask_mov_ps(power, _mm512_cmpeq_epi32_mask(bytes, _mm512_set1_epi32(255)),
                            _mm512_set1_ps(__builtin_nanf("")));
}

// The sum over a row's groups of half power * (sum of x).
inline __m512 power_products(const PackedMatrix& w, int64_t first, const float* sums) {
  __m512 total = _mm512_setzero_ps();
  for (int64_t g = 0; g < w.groups(); g += 16) {
    auto mask = static_cast<__mmask16>(w.groups() - g >= 16 ? 0xffff : (1 << (w.groups() - g)) - 1);
    __m128i bytes = _mm_maskz_loadu_epi8(mask, static_cast<const uint8_t*>(w.scales) + first + g);
    total = _mm512_fmadd_ps(half_powers(_mm512_cvtepu8_epi32(bytes)), _mm512_loadu_ps(sums + g), total);
  }
  return total;
}

// The scales of a block's groups, a lane each.
template <Element e, bool table>
inline __m512 lane_scales(const PackedMatrix& w, int64_t at, __mmask8 mask, __m512i lanes) {
  if constexpr (table) {
    __m128i bytes = _mm_maskz_loadu_epi8(mask, static_cast<const uint8_t*>(w.scales) + at);
    return half_powers(_mm512_permutexvar_epi32(lanes, _mm512_cvtepu8_epi32(bytes)));
  }
  return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(four_floats<e>(w.scales, at, mask)));
}

// The sums of the lanes of four vectors.
inline __m128 four_sums(const __m512* v) {
  auto halves = [](__m512 x) { return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1)); };
  __m256 a = _mm256_hadd_ps(halves(v[0]), halves(v[1])), b = _mm256_hadd_ps(halves(v[2]), halves(v[3]));
  __m256 c = _mm256_hadd_ps(a, b);
  return _mm_add_ps(_mm256_castps256_ps128(c), _mm256_extractf128_ps(c, 1));
}

// One row of x with rows of w, one after the other: rows read beside each other halve what memory gives, though they
// would share the loads of x.
template <int bits, Element e, bool table, int digits>
class RowProducts {
 public:
  RowProducts(const PreparedRows& rows, int m, const PackedMatrix& w)
      : w_(w),
        width_(w.width),
        groups_(w.groups()),
        bytes_(w.row_bytes()),
        digit_(prepared_width(w.width)),
        codes_(rows.codes + m * kDigits * digit_),
        steps_(rows.steps + m * padded_to_16(w.width / 32)),
        sums_(rows.sums + m * padded_to_16(groups_)),
        lanes_(group_of_lane<bits>(w.group)),
        step_lanes_(group_of_lane<bits>(32)),
        group_shift_(w.group == 16 ? 4 : w.group == 32 ? 5 : w.group == 64 ? 6 : 7),
        whole_groups_(mask_of(w.group >= kBlock<bits> ? 1 : kBlock<bits> / w.group)),
        last_(width_ / kBlock<bits> * kBlock<bits>),
        last_bytes_((1ull << ((width_ - last_) * bits / 8)) - 1),
        last_groups_(mask_of(static_cast<int>((width_ - last_ + w.group - 1) >> group_shift_))) {}

  // The product with row n, spread over lanes.
  __m512 operator()(int64_t n) const {
    const uint8_t* p = w_.codes + n * bytes_;
    const int64_t first_scale = n * groups_;
    __m512 total = table ? _mm512_setzero_ps() : bias_products<e>(w_.biases, first_scale, sums_, groups_);
    constexpr int line = kBlock<bits> * bits / 8;
    constexpr __mmask64 whole = line == 64 ? ~0ull : (1ull << (line % 64)) - 1;
    for (int64_t at = 0; at < last_; at += kBlock<bits>) total = add_block(total, p, first_scale, at, whole, whole_groups_);
    if (last_ < width_) total = add_block(total, p, first_scale, last_, last_bytes_, last_groups_);
    // What the 12 in every code added.
    if constexpr (table) total = _mm512_fnmadd_ps(_mm512_set1_ps(12), power_products(w_, first_scale, sums_), total);
    return total;
  }

 private:
  static __mmask8 mask_of(int n) { return static_cast<__mmask8>((1 << n) - 1); }

  __m512 add_block(__m512 total, const uint8_t* row, int64_t first_scale, int64_t at, __mmask64 mask,
                   __mmask8 groups) const {
    const uint8_t* p = row + at * bits / 8;
    prefetch(p + kAhead);
    __m512 products = block_products<bits, table, digits>(unpacked<bits>(p, mask), codes_ + at, digit_);
    // Of the two or four blocks of 32 whose codes these are.
    const __m128 steps = _mm_maskz_loadu_ps((1 << kBlock<bits> / 32) - 1, steps_ + at / 32);
    const __m512 step = _mm512_permutexvar_ps(step_lanes_, _mm512_castps128_ps512(steps));
    __m512 scale = lane_scales<e, table>(w_, first_scale + (at >> group_shift_), groups, lanes_);
    return _mm512_fmadd_ps(products, _mm512_mul_ps(scale, step), total);
  }

  const PackedMatrix& w_;
  const int64_t width_, groups_, bytes_, digit_;
  const int8_t* codes_;
  const float *steps_, *sums_;
  const __m512i lanes_, step_lanes_;
  const int group_shift_;
  const __mmask8 whole_groups_;
  const int64_t last_;
  const __mmask64 last_bytes_;
  const __mmask8 last_groups_;
};

template <int bits, Element e, bool table, int digits>
inline void multiply_digits(const PreparedRows& rows, const PackedMatrix& w, int64_t first, int64_t last, float* y,
                            int64_t y_stride) {
  constexpr int R = 4;
  const int64_t scale_bytes = w.groups() * w.scale_bytes();
  // The scales of the rows that come `kAhead` bytes of codes later.
  const int64_t rows_ahead = kAhead / w.row_bytes() + 1;
  for (int64_t n = first; n < last; n += R) {
    for (int64_t i = 0; i < R * scale_bytes; i += 64) {
      prefetch(static_cast<const char*>(w.scales) + (n + rows_ahead) * scale_bytes + i);
      if (!table) prefetch(static_cast<const char*>(w.biases) + (n + rows_ahead) * scale_bytes + i);
    }
    const int64_t count = last - n < R ? last - n : R;
    for (int m = 0; m < rows.count; ++m) {
      const RowProducts<bits, e, table, digits> product(rows, m, w);
      __m512 totals[R] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
      for (int64_t r = 0; r < count; ++r) totals[r] = product(n + r);
      _mm_mask_storeu_ps(y + m * y_stride + n, static_cast<__mmask8>((1 << count) - 1), four_sums(totals));
    }
  }
}

template <int bits, bool table>
inline void multiply_layout(const PreparedRows& rows, const PackedMatrix& w, int64_t first, int64_t last, float* y,
                            int64_t y_stride) {
  auto by_digits = [&]<Element e>() {
    auto multiply = rows.digits == 1   ? multiply_digits<bits, e, table, 1>
                    : rows.digits == 2 ? multiply_digits<bits, e, table, 2>
                                       : multiply_digits<bits, e, table, 3>;
    multiply(rows, w, first, last, y, y_stride);
  };
  if (table || w.scale_type == Element::f32) {
    by_digits.template operator()<Element::f32>();
  } else if (w.scale_type == Element::f16) {
    by_digits.template operator()<Element::f16>();
  } else {
    by_digits.template operator()<Element::bf16>();
  }
}

inline void multiply_packed(const PreparedRows& rows, const PackedMatrix& w, int64_t first, int64_t last, float* y,
                            int64_t y_stride) {
  TENSORLOGIC_BY_LAYOUT(w, multiply_layout, rows, w, first, last, y, y_stride);
}

// 32 floats as whole multiples of one step. An infinite or NaN item makes the step NaN, and with it every product.
struct Multiples {
  __m512i p, q;
  float step;

  float sum() const { return static_cast<float>(_mm512_reduce_add_epi32(_mm512_add_epi32(p, q))); }
  float first_half() const { return static_cast<float>(_mm512_reduce_add_epi32(p)); }
  float second_half() const { return static_cast<float>(_mm512_reduce_add_epi32(q)); }
};

// In `digits` bytes each. With `to_16_bits` the lowest of three is rounded away where the items' mean size is at least 1/15
// of the largest: they are then off by at most 1/64000 of the largest, and so by at most 2^-12 of their mean, which is half
// of what float16 may lose.
template <int digits>
inline Multiples multiples(const float* x, bool to_16_bits = false) {
  __m512 a = _mm512_loadu_ps(x), b = _mm512_loadu_ps(x + 16);
  __m512 size_a = _mm512_abs_ps(a), size_b = _mm512_abs_ps(b);
  float largest = _mm512_reduce_max_ps(_mm512_max_ps(size_a, size_b));
  constexpr float most = digits == 1 ? 127.0f : 127.0f * 65536.0f;
  // 127 / a subnormal number may be infinite; a block as small as that counts as 0.
  float factor = largest > 0x1p-100f ? most / largest : 0.0f;
  // 0, or NaN where an item is infinite or NaN: those have no multiple.
  __m512 poison = _mm512_add_ps(_mm512_mul_ps(a, _mm512_setzero_ps()), _mm512_mul_ps(b, _mm512_setzero_ps()));
  __mmask16 finite = _mm512_cmp_ps_mask(poison, _mm512_setzero_ps(), _CMP_EQ_OQ);
  __m512i p = _mm512_maskz_cvtps_epi32(finite, _mm512_mul_ps(a, _mm512_set1_ps(factor)));
  __m512i q = _mm512_maskz_cvtps_epi32(finite, _mm512_mul_ps(b, _mm512_set1_ps(factor)));
  if (digits == 3 && to_16_bits && _mm512_reduce_add_ps(_mm512_add_ps(size_a, size_b)) >= 32.0f / 15 * largest) {
    const __m512i half = _mm512_set1_epi32(128), high = _mm512_set1_epi32(~255);
    p = _mm512_and_si512(_mm512_add_epi32(p, half), high);
    q = _mm512_and_si512(_mm512_add_epi32(q, half), high);
  }
  return {p, q, largest / most + _mm512_reduce_add_ps(poison)};
}

// The digits of 32 multiples, `digit` bytes apart, the highest first. Gives whether the lowest is 0 in all.
template <int digits>
inline bool write_digits(const Multiples& from, int8_t* to, int64_t digit) {
  __m512i p = from.p, q = from.q;
  const bool ends = _mm512_test_epi32_mask(_mm512_or_si512(p, q), _mm512_set1_epi32(255)) == 0;
  // From the lowest digit up.
#pragma GCC unroll 3
  for (int d = digits - 1; d >= 0; --d) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + d * digit), _mm512_cvtepi32_epi8(p));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + d * digit + 16), _mm512_cvtepi32_epi8(q));
    // A byte from 128 up stands for 256 less.
    p = _mm512_srai_epi32(_mm512_add_epi32(p, _mm512_set1_epi32(128)), 8);
    q = _mm512_srai_epi32(_mm512_add_epi32(q, _mm512_set1_epi32(128)), 8);
  }
  return ends;
}

// Of each 128 bytes the even ones, then the odd ones.
inline void split_even_odd(int8_t* codes, int64_t width) {
  for (int64_t at = 0; at < width; at += 128) {
    __m512i a = _mm512_loadu_si512(codes + at), b = _mm512_loadu_si512(codes + at + 64);
    __m512i even = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)), _mm512_cvtepi16_epi8(b), 1);
    a = _mm512_srli_epi16(a, 8), b = _mm512_srli_epi16(b, 8);
    __m512i odd = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)), _mm512_cvtepi16_epi8(b), 1);
    _mm512_storeu_si512(codes + at, even);
    _mm512_storeu_si512(codes + at + 64, odd);
  }
}

// Gives whether two digits hold all items.
template <int digits>
inline bool prepare_digits(const float* x, int64_t m, const PackedMatrix& w, PreparedRows& rows) {
  const int64_t groups = w.groups(), blocks = w.width / 32, digit = prepared_width(w.width);
  int8_t* codes = rows.codes + m * kDigits * digit;
  float* steps = rows.steps + m * padded_to_16(blocks);
  float* sums = rows.sums + m * padded_to_16(groups);
  std::memset(sums, 0, static_cast<size_t>(padded_to_16(groups)) * 4);
  std::memset(steps, 0, static_cast<size_t>(padded_to_16(blocks)) * 4);
  for (int d = 0; d < digits; ++d) std::memset(codes + d * digit + w.width, 0, static_cast<size_t>(digit - w.width));
  const int blocks_shift = w.group == 32 ? 0 : w.group == 64 ? 1 : 2;
  bool two = true;
  for (int64_t b = 0; b < blocks; ++b) {
    const Multiples block = multiples<digits>(x + 32 * b, rows.kept == Activations::float16);
    two &= write_digits<digits>(block, codes + 32 * b, digit);
    steps[b] = block.step;
    if (w.group == 16) {
      sums[2 * b] = block.step * block.first_half();
      sums[2 * b + 1] = block.step * block.second_half();
    } else {
      sums[b >> blocks_shift] += block.step * block.sum();
    }
  }
  if (w.bits == 4) {
    for (int d = 0; d < digits; ++d) split_even_odd(codes + d * digit, digit);
  }
  return two;
}

inline void prepare_packed(const float* x, int64_t stride, const PackedMatrix& w, PreparedRows& rows) {
  if (rows.kept == Activations::int8) {
    rows.digits = 1;
    for (int m = 0; m < rows.count; ++m) prepare_digits<1>(x + m * stride, m, w, rows);
    return;
  }
  bool two = true;
  for (int m = 0; m < rows.count; ++m) two &= prepare_digits<3>(x + m * stride, m, w, rows);
  rows.digits = two ? 2 : 3;
  if (!two) return;
  // The steps of a lowest digit that is left out.
  for (int64_t i = 0; i < rows.count * padded_to_16(w.width / 32); ++i) rows.steps[i] *= 256;
}

}  // namespace tensorlogic::TENSORLOGIC_SET
