// Rows of floats times packed rows, for any instruction set, in terms of `Floats` and the codes of codes_*.h.
//
// A product is the sum over groups of scale * (codes . x) + bias * (sum of x). The parts in parentheses are sums of 32
// products that share a scale: of floats; or, with activations in int8, of integers, which are exact. Scales become
// floats in stretches of `kStretch` groups, so that any type of them costs the same.

namespace tensorlogic::TENSORLOGIC_SET {

inline constexpr int kStretch = 64;

// The scales and biases of groups `g` to `g + n` of one row of `w` as floats. `table`: what a byte means, halved where
// the codes count twice.
inline void group_factors(const PackedMatrix& w, int64_t row, int64_t g, int64_t n, bool int8, float* scales,
                          float* biases) {
  int64_t at = row * w.groups() + g;
  if (w.packing == Packing::mxfp4) {
    auto bytes = static_cast<const uint8_t*>(w.scales) + at;
    for (int64_t i = 0; i < n; ++i) {
      // 2^(byte - 127); 255 is NaN. The two least are subnormal.
      uint32_t e = bytes[i], bits = e == 255 ? 0x7fc00000u : e == 0 ? 0x00400000u : e << 23;
      std::memcpy(&scales[i], &bits, 4);
      if (int8) {
        scales[i] *= 0.5f;
        biases[i] = -12 * scales[i];
      }
    }
    return;
  }
  size_t offset = static_cast<size_t>(at * size_of(w.scale_type));
  widen(static_cast<const char*>(w.scales) + offset, w.scale_type, scales, n);
  widen(static_cast<const char*>(w.biases) + offset, w.scale_type, biases, n);
  if (int8 && kSignedBytes && w.bits == 8) {
    for (int64_t i = 0; i < n; ++i) biases[i] += 128 * scales[i];
  }
}

// Of the first or the second half of the 32 codes at `p`, with 16 floats.
template <int bits, bool table, int half>
inline Floats half_dot(const uint8_t* p, const float* x) {
  constexpr int width = Floats::width, vectors = 16 / width, first = half * vectors;
  Floats d = float_codes<bits, table, first>(p) * Floats::load(x);
  if constexpr (vectors == 2) d = fma(float_codes<bits, table, first + 1>(p), Floats::load(x + width), d);
  return d;
}

template <int bits, bool table>
inline Floats float_dot(const uint8_t* p, const float* x) {
  constexpr int width = Floats::width;
  Floats d = float_codes<bits, table, 0>(p) * Floats::load(x);
  d = fma(float_codes<bits, table, 1>(p), Floats::load(x + width), d);
  if constexpr (width == 8) {
    d = fma(float_codes<bits, table, 2>(p), Floats::load(x + 2 * width), d);
    d = fma(float_codes<bits, table, 3>(p), Floats::load(x + 3 * width), d);
  }
  return d;
}

// Whether activations are bytes here: in blocks of 32, which groups of 16 would part.
inline bool in_bytes(const PreparedRows& rows, const PackedMatrix& w) {
  return rows.kept == Activations::int8 && w.group >= 32;
}

// One row of `w` with one prepared row of floats.
template <int bits, bool table, bool int8>
inline float row_product(const PreparedRows& rows, int m, const PackedMatrix& w, int64_t n) {
  const int64_t width = prepared_width(w.width), groups = w.groups(), blocks_in_group = w.group / 32;
  const bool halves = w.group == 16;
  const float* x = rows.x + m * width;
  const float* sums = rows.sums + m * padded_to_16(groups);
  const int8_t* codes = int8 ? rows.codes + m * width : nullptr;
  const float* steps = int8 ? rows.steps + m * padded_to_16(w.width / 32) : nullptr;
  const uint8_t* p = w.codes + n * w.row_bytes();
  float scales[kStretch], biases[kStretch], offset = 0;
  Floats total = Floats::zero();
  for (int64_t first = 0; first < groups; first += kStretch) {
    int64_t count = groups - first < kStretch ? groups - first : kStretch;
    group_factors(w, n, first, count, int8, scales, biases);
    for (int64_t g = 0; g < count; ++g) {
      int64_t block = (first + g) * blocks_in_group;
      if (halves) {
        const int64_t b = (first + g) / 2;
        const uint8_t* codes_of_32 = p + b * 4 * bits;
        Floats d = g % 2 ? half_dot<bits, table, 1>(codes_of_32, x + 32 * b + 16)
                         : half_dot<bits, table, 0>(codes_of_32, x + 32 * b);
        total = fma(d, Floats::all(scales[g]), total);
      }
      for (int64_t b = block; b < block + blocks_in_group; ++b) {
        if constexpr (int8) {
          Floats d = integer_dot<bits, table>(p + b * 4 * bits, codes + 32 * b);
          total = fma(d, Floats::all(scales[g] * steps[b]), total);
        } else {
          total = fma(float_dot<bits, table>(p + b * 4 * bits, x + 32 * b), Floats::all(scales[g]), total);
        }
      }
      if (!table || int8) offset += biases[g] * sums[first + g];
    }
  }
  return total.sum() + offset;
}

template <int bits, bool table>
inline void multiply_rows(const PreparedRows& rows, const PackedMatrix& w, int64_t first, int64_t last, float* y,
                          int64_t y_stride) {
  for (int64_t n = first; n < last; ++n) {
    for (int m = 0; m < rows.count; ++m) {
      auto product = in_bytes(rows, w) ? row_product<bits, table, true> : row_product<bits, table, false>;
      y[m * y_stride + n] = product(rows, m, w, n);
    }
  }
}

// Calls `f<bits, table>` for the layout of `w`.
#define TENSORLOGIC_BY_LAYOUT(w, f, ...)                                   \
  do {                                                                     \
    if ((w).packing == Packing::mxfp4) { f<4, true>(__VA_ARGS__); break; } \
    switch ((w).bits) {                                                    \
      case 2: f<2, false>(__VA_ARGS__); break;                             \
      case 3: f<3, false>(__VA_ARGS__); break;                             \
      case 4: f<4, false>(__VA_ARGS__); break;                             \
      case 5: f<5, false>(__VA_ARGS__); break;                             \
      case 6: f<6, false>(__VA_ARGS__); break;                             \
      default: f<8, false>(__VA_ARGS__); break;                            \
    }                                                                      \
  } while (false)

// The sum of 16 or 32 floats.
template <int count>
inline float sum_of(const float* x) {
  Floats total = Floats::load(x);
  for (int i = Floats::width; i < count; i += Floats::width) total = total + Floats::load(x + i);
  return total.sum();
}

// 32 floats as signed bytes of one step, largest / 127; gives the step, and the bytes' sum. An infinite or NaN item
// makes the step NaN, and with it every product.
inline float quantize_32(const float* x, int8_t* to, int* sum) {
  Floats peak = Floats::zero(), poison = Floats::zero();
  for (int i = 0; i < 32; i += Floats::width) {
    Floats v = Floats::load(x + i);
    peak = max(peak, absolute(v));
    poison = fma(v, Floats::zero(), poison);
  }
  float largest = peak.largest(), factor = largest > 0 ? 127.0f / largest : 0.0f;
  // 127 / a subnormal number is infinite; what is that small rounds to 0.
  if (!(factor < 3e38f)) factor = 0;
  int total = 0;
  for (int i = 0; i < 32; i += Floats::width) {
    float rounded[Floats::width];
    (Floats::load(x + i) * Floats::all(factor)).rounded().store(rounded);
    for (int k = 0; k < Floats::width; ++k) {
      int code = rounded[k] >= -127.0f && rounded[k] <= 127.0f ? static_cast<int>(rounded[k]) : 0;
      to[i + k] = static_cast<int8_t>(code);
      total += code;
    }
  }
  *sum = total;
  return largest / 127.0f + poison.sum();
}

// Fills `sums` of one row, and under int8 `codes` and `steps`, too.
inline void prepare_sums(const float* x, int64_t m, const PackedMatrix& w, PreparedRows& rows) {
  const int64_t groups = w.groups(), blocks_in_group = w.group / 32, width = prepared_width(w.width);
  float* sums = rows.sums + m * padded_to_16(groups);
  for (int64_t g = 0; g < padded_to_16(groups); ++g) sums[g] = 0;
  if (w.group == 16) {
    for (int64_t g = 0; g < groups; ++g) sums[g] = sum_of<16>(x + 16 * g);
    return;
  }
  if (!in_bytes(rows, w)) {
    for (int64_t b = 0; b < w.width / 32; ++b) sums[b / blocks_in_group] += sum_of<32>(x + 32 * b);
    return;
  }
  int8_t* codes = rows.codes + m * width;
  float* steps = rows.steps + m * padded_to_16(w.width / 32);
  for (int64_t b = 0; b < w.width / 32; ++b) {
    int sum;
    steps[b] = quantize_32(x + 32 * b, codes + 32 * b, &sum);
    // Of what the products see, not of what was rounded away.
    sums[b / blocks_in_group] += steps[b] * static_cast<float>(sum);
  }
  for (int64_t i = w.width; i < width; ++i) codes[i] = 0;
  for (int64_t b = w.width / 32; b < padded_to_16(w.width / 32); ++b) steps[b] = 0;
}

inline void prepare_any(const float* x, int64_t stride, const PackedMatrix& w, PreparedRows& rows) {
  const int64_t width = prepared_width(w.width);
  for (int m = 0; m < rows.count; ++m) {
    const float* row = x + m * stride;
    prepare_sums(row, m, w, rows);
    if (in_bytes(rows, w)) continue;
    float* to = rows.x + m * width;
    std::memcpy(to, row, static_cast<size_t>(w.width) * 4);
    for (int64_t i = w.width; i < width; ++i) to[i] = 0;
  }
}

template <int bits, bool table>
inline void expand_rows(const PackedMatrix& w, int64_t first, int64_t last, float* to) {
  float scales[kStretch], biases[kStretch];
  const int64_t groups = w.groups(), blocks_in_group = w.group / 32;
  const bool halves = w.group == 16;
  for (int64_t n = first; n < last; ++n) {
    const uint8_t* p = w.codes + n * w.row_bytes();
    for (int64_t start = 0; start < groups; start += kStretch) {
      int64_t count = groups - start < kStretch ? groups - start : kStretch;
      group_factors(w, n, start, count, false, scales, biases);
      for (int64_t g = 0; g < count; ++g) {
        Floats scale = Floats::all(scales[g]), bias = table ? Floats::zero() : Floats::all(biases[g]);
        int64_t block = (start + g) * blocks_in_group;
        if (halves) {
          constexpr int vectors = 16 / Floats::width;
          const int64_t b = (start + g) / 2;
          const uint8_t* codes = p + b * 4 * bits;
          float* out = to + (n - first) * w.width + 16 * (start + g);
          auto put = [&]<int c>() {
            fma(float_codes<bits, table, c>(codes), scale, bias).store(out);
            if constexpr (vectors == 2) {
              fma(float_codes<bits, table, c + 1>(codes), scale, bias).store(out + Floats::width);
            }
          };
          g % 2 ? put.template operator()<vectors>() : put.template operator()<0>();
        }
        for (int64_t b = block; b < block + blocks_in_group; ++b) {
          const uint8_t* codes = p + b * 4 * bits;
          float* out = to + (n - first) * w.width + 32 * b;
          constexpr int width = Floats::width;
          fma(float_codes<bits, table, 0>(codes), scale, bias).store(out);
          fma(float_codes<bits, table, 1>(codes), scale, bias).store(out + width);
          if constexpr (width == 8) {
            fma(float_codes<bits, table, 2>(codes), scale, bias).store(out + 2 * width);
            fma(float_codes<bits, table, 3>(codes), scale, bias).store(out + 3 * width);
          }
        }
      }
    }
  }
}

inline void expand_any(const PackedMatrix& w, int64_t first, int64_t last, float* to) {
  TENSORLOGIC_BY_LAYOUT(w, expand_rows, w, first, last, to);
}

}  // namespace tensorlogic::TENSORLOGIC_SET
