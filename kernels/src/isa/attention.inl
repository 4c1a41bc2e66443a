// Attention of few query rows, in terms of `Floats`: each key and value is widened in registers and meets up to four
// rows there, since reading it is what costs.

#include <math.h>

namespace tensorlogic::TENSORLOGIC_SET {

// Rows that are in registers together, and the keys that are there with so many rows: sums that do not wait for each
// other hide how long each takes.
inline constexpr int kRowsAtOnce = 4;
constexpr int keys_at_once(int rows) {
  return Floats::width == 16 ? (rows <= 2 ? 8 : 4) : (rows <= 3 ? 4 : 2);
}
// Bytes of values that all columns take before the next ones: they stay in the first cache.
inline constexpr int64_t kValueBytes = 16 * 1024;

// Before a loop over registers: the compiler keeps an array in them only where such loops are unrolled early.
#define TENSORLOGIC_UNROLLED _Pragma("GCC unroll 16")

template <Element e>
inline Floats load_as(const char* row, int64_t i) {
  if constexpr (e == Element::f32) {
    return Floats::load(reinterpret_cast<const float*>(row) + i);
  } else {
    auto halves = reinterpret_cast<const uint16_t*>(row) + i;
    return e == Element::f16 ? Floats::from_f16(halves) : Floats::from_bf16(halves);
  }
}

// Item i is the sum of v[i]. A set's header may have a faster one of the same name.
template <class Vector>
inline Vector sums(const Vector* v) {
  float items[Vector::width];
  for (int i = 0; i < Vector::width; ++i) items[i] = v[i].sum();
  return Vector::load(items);
}

// Keys are fetched that much ahead of their use. What a processor does by itself is too little: it stops at pages and
// takes rows that are read together for unrelated ones.
inline constexpr int kKeysAhead = 16;

// Fetches a line into the second-level cache. `p` may point behind an array: this reads nothing that could fail.
inline void fetch(const char* p) { __builtin_prefetch(p, 0, 2); }

// to[r * Floats::width + j] = items whose sum is the product of row r and key j.
template <Element e, int rows, int keys>
inline void partial_dots(const float* q, int64_t q_stride, const char* k, int64_t k_bytes, const char* next,
                         int64_t width, Floats* to) {
  Floats total[rows][keys];
  TENSORLOGIC_UNROLLED for (int r = 0; r < rows; ++r) {
    TENSORLOGIC_UNROLLED for (int j = 0; j < keys; ++j) total[r][j] = Floats::zero();
  }
  constexpr int64_t line = 64 / size_of(e);
  for (int64_t begin = 0; begin < width; begin += line) {
    for (int j = 0; next && j < keys; ++j) {
      fetch(k + (j + kKeysAhead) * k_bytes + begin * size_of(e));
      fetch(next + j * k_bytes + begin * size_of(e));
    }
    const int64_t end = begin + line < width ? begin + line : width;
    for (int64_t d = begin; d < end; d += Floats::width) {
      Floats x[keys];
      TENSORLOGIC_UNROLLED for (int j = 0; j < keys; ++j) x[j] = load_as<e>(k + j * k_bytes, d);
      TENSORLOGIC_UNROLLED for (int r = 0; r < rows; ++r) {
        Floats y = Floats::load(q + r * q_stride + d);
        TENSORLOGIC_UNROLLED for (int j = 0; j < keys; ++j) total[r][j] = fma(x[j], y, total[r][j]);
      }
    }
  }
  TENSORLOGIC_UNROLLED for (int r = 0; r < rows; ++r) {
    TENSORLOGIC_UNROLLED for (int j = 0; j < keys; ++j) to[r * Floats::width + j] = total[r][j];
  }
}

// The products of `n` <= Floats::width keys.
template <Element e, int rows>
inline void dots_of_group(const float* q, int64_t q_stride, const char* k, int64_t k_bytes, const char* next, int n,
                          int64_t width, float* to, int64_t to_stride) {
  constexpr int keys = keys_at_once(rows);
  Floats partial[rows * Floats::width];
  int j = 0;
  for (; j + keys <= n; j += keys) {
    const char* after = next ? next + j * k_bytes : nullptr;
    partial_dots<e, rows, keys>(q, q_stride, k + j * k_bytes, k_bytes, after, width, partial + j);
  }
  for (; j < n; ++j) partial_dots<e, rows, 1>(q, q_stride, k + j * k_bytes, k_bytes, nullptr, width, partial + j);
  for (int r = 0; r < rows; ++r) {
    for (int i = n; i < Floats::width; ++i) partial[r * Floats::width + i] = Floats::zero();
    Floats s = sums(partial + r * Floats::width);
    n == Floats::width ? s.store(to + r * to_stride) : s.store(to + r * to_stride, n);
  }
}

// Calls `f<e, n>` with `n` of 1 to kRowsAtOnce.
#define TENSORLOGIC_BY_ROWS(n, f, e, ...)                    \
  do {                                                       \
    switch (n) {                                             \
      case 1: f<e, 1>(__VA_ARGS__); break;                   \
      case 2: f<e, 2>(__VA_ARGS__); break;                   \
      case 3: f<e, 3>(__VA_ARGS__); break;                   \
      default: f<e, kRowsAtOnce>(__VA_ARGS__); break;        \
    }                                                        \
  } while (false)

// Calls `f<type>`.
#define TENSORLOGIC_BY_ELEMENT(type, f, ...)                 \
  do {                                                       \
    switch (type) {                                          \
      case Element::f32: f<Element::f32>(__VA_ARGS__); break; \
      case Element::f16: f<Element::f16>(__VA_ARGS__); break; \
      default: f<Element::bf16>(__VA_ARGS__); break;         \
    }                                                        \
  } while (false)

template <Element e>
inline void dots_of(const float* q, int64_t q_stride, int64_t rows, const FloatRows& k, int64_t count, int64_t width,
                    float* to, int64_t to_stride) {
  const int64_t bytes = k.stride * size_of(e);
  for (int64_t j = 0; j < count; j += Floats::width) {
    const int n = count - j < Floats::width ? static_cast<int>(count - j) : Floats::width;
    const char* keys = static_cast<const char*>(k.data) + j * bytes;
    const char* next = k.next ? static_cast<const char*>(k.next) + j * bytes : nullptr;
    for (int64_t r = 0; r < rows; r += kRowsAtOnce) {
      TENSORLOGIC_BY_ROWS(rows - r, dots_of_group, e, q + r * q_stride, q_stride, keys, bytes, r ? nullptr : next, n,
                          width, to + r * to_stride + j, to_stride);
    }
  }
}

inline void dots(const float* q, int64_t q_stride, int64_t rows, const FloatRows& k, int64_t count, int64_t width,
                 float* to, int64_t to_stride) {
  TENSORLOGIC_BY_ELEMENT(k.type, dots_of, q, q_stride, rows, k, count, width, to, to_stride);
}

// e^x for x <= 0, as `exponential` computes it, but 0 where that is below 2^-126.
inline Floats exponential_of_negative(Floats x) {
  // Where n is -127, 2^n is 0.
  Floats clamped = max(Floats::all(-88.0f), x);
  Floats n = (clamped * Floats::all(1.44269504088896341f)).rounded();
  Floats r = fma(n, Floats::all(-0.693359375f), clamped);
  r = fma(n, Floats::all(2.12194440e-4f), r);
  Floats p = Floats::all(1.9875691500e-4f);
  p = fma(p, r, Floats::all(1.3981999507e-3f));
  p = fma(p, r, Floats::all(8.3334519073e-3f));
  p = fma(p, r, Floats::all(4.1665795894e-2f));
  p = fma(p, r, Floats::all(1.6666665459e-1f));
  p = fma(p, r, Floats::all(0.5f));
  return fma(p, r * r, r + Floats::all(1.0f)) * n.power_of_two();
}

// The least finite float: where nothing is seen, scores are held against this.
inline constexpr float kLeast = -3.402823466e38f;

inline float softmax_weights(float* x, int64_t n, float* largest) {
  const int64_t padded = (n + Floats::width - 1) / Floats::width * Floats::width;
  for (int64_t i = n; i < padded; ++i) x[i] = -HUGE_VALF;
  Floats top = Floats::all(kLeast);
  for (int64_t i = 0; i < padded; i += Floats::width) top = max(top, Floats::load(x + i));
  *largest = top.largest();
  if (!(*largest >= kLeast)) *largest = kLeast;
  Floats limit = Floats::all(*largest), total = Floats::zero();
  for (int64_t i = 0; i < padded; i += Floats::width) {
    Floats p = exponential_of_negative(Floats::load(x + i) - limit);
    p.store(x + i);
    total = total + p;
  }
  return total.sum();
}

template <Element e, int rows, int vectors>
inline void weigh_columns(const float* p, int64_t p_stride, const char* v, int64_t v_bytes, const char* next,
                          int64_t count, int64_t column, float* to, int64_t to_stride) {
  constexpr int step = Floats::width;
  Floats total[rows][vectors];
  to += column;
  TENSORLOGIC_UNROLLED for (int r = 0; r < rows; ++r) {
    TENSORLOGIC_UNROLLED for (int i = 0; i < vectors; ++i) total[r][i] = Floats::load(to + r * to_stride + i * step);
  }
  constexpr int64_t bytes = vectors * Floats::width * size_of(e);
  for (int64_t j = 0; j < count; ++j) {
    for (int64_t b = 0; next && b < bytes; b += 64) fetch(next + j * v_bytes + column * size_of(e) + b);
    Floats x[vectors];
    TENSORLOGIC_UNROLLED for (int i = 0; i < vectors; ++i) x[i] = load_as<e>(v + j * v_bytes, column + i * step);
    TENSORLOGIC_UNROLLED for (int r = 0; r < rows; ++r) {
      Floats weight = Floats::all(p[r * p_stride + j]);
      TENSORLOGIC_UNROLLED for (int i = 0; i < vectors; ++i) total[r][i] = fma(weight, x[i], total[r][i]);
    }
  }
  TENSORLOGIC_UNROLLED for (int r = 0; r < rows; ++r) {
    TENSORLOGIC_UNROLLED for (int i = 0; i < vectors; ++i) total[r][i].store(to + r * to_stride + i * step);
  }
}

template <Element e, int rows>
inline void weigh_rows(const float* p, int64_t p_stride, const char* v, int64_t v_bytes, const char* next,
                       int64_t count, int64_t width, float* to, int64_t to_stride) {
  constexpr int vectors = Floats::width == 16 ? 4 : 2;
  int64_t c = 0;
  for (; c + vectors * Floats::width <= width; c += vectors * Floats::width) {
    weigh_columns<e, rows, vectors>(p, p_stride, v, v_bytes, next, count, c, to, to_stride);
  }
  for (; c < width; c += Floats::width) {
    weigh_columns<e, rows, 1>(p, p_stride, v, v_bytes, next, count, c, to, to_stride);
  }
}

template <Element e>
inline void weigh_as(const float* p, int64_t p_stride, int64_t rows, const FloatRows& v, int64_t count, int64_t width,
                     float* to, int64_t to_stride) {
  const int64_t bytes = v.stride * size_of(e);
  const int64_t fitting = kValueBytes / (width * size_of(e) + 1) + 1;
  for (int64_t j = 0; j < count; j += fitting) {
    const int64_t n = count - j < fitting ? count - j : fitting;
    const char* values = static_cast<const char*>(v.data) + j * bytes;
    const char* next = v.next ? static_cast<const char*>(v.next) + j * bytes : nullptr;
    for (int64_t r = 0; r < rows; r += kRowsAtOnce) {
      TENSORLOGIC_BY_ROWS(rows - r, weigh_rows, e, p + r * p_stride + j, p_stride, values, bytes, r ? nullptr : next, n,
                          width, to + r * to_stride, to_stride);
    }
  }
}

inline void add_weighted(const float* p, int64_t p_stride, int64_t rows, const FloatRows& v, int64_t count,
                         int64_t width, float* to, int64_t to_stride) {
  TENSORLOGIC_BY_ELEMENT(v.type, weigh_as, p, p_stride, rows, v, count, width, to, to_stride);
}

}  // namespace tensorlogic::TENSORLOGIC_SET
