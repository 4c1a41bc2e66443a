// Few rows of floats times a dense matrix in memory, for any instruction set, in terms of `Floats`: both ways read the
// matrix from memory once and widen half precision in registers.

namespace tensorlogic::TENSORLOGIC_SET {

// Items of type `e` at a time: a vector, or the first `n` < width of one (the rest are 0, their memory is not touched).
template <Element e>
struct Items {
  static constexpr int64_t bytes = e == Element::f32 ? 4 : 2;

  static Floats load(const char* p) {
    if constexpr (e == Element::f32) {
      return Floats::load(reinterpret_cast<const float*>(p));
    } else if constexpr (e == Element::f16) {
      return Floats::from_f16(reinterpret_cast<const uint16_t*>(p));
    } else {
      return Floats::from_bf16(reinterpret_cast<const uint16_t*>(p));
    }
  }
  static Floats load(const char* p, int n) {
    if constexpr (e == Element::f32) {
      return Floats::load(reinterpret_cast<const float*>(p), n);
    } else {
      uint16_t items[Floats::width] = {};
      std::memcpy(items, p, static_cast<size_t>(n) * 2);
      return load(reinterpret_cast<const char*>(items));
    }
  }
};

// The sums of `rows` rows of x with `columns` rows of w, of which `unroll` vectors are read at a time. Under `ahead` it
// asks for the rows of w that come next.
template <Element e, int rows, int columns, int unroll, bool ahead>
inline void dot_block(const FewRows& p, const float* x, const char* w, float* y) {
  using Item = Items<e>;
  constexpr int width = Floats::width;
  const int64_t pitch = p.w_stride * Item::bytes;
  Floats sums[rows][columns][unroll];
  for (auto& of_row : sums) {
    for (auto& of_column : of_row) {
      for (Floats& sum : of_column) sum = Floats::zero();
    }
  }
  int64_t i = 0;
  for (; i + unroll * width <= p.k; i += unroll * width) {
    for (int u = 0; u < unroll; ++u) {
      const float* from = x + i + u * width;
      const char* at = w + (i + u * width) * Item::bytes;
      Floats items[columns];
      for (int c = 0; c < columns; ++c) {
        if constexpr (ahead) __builtin_prefetch(at + (c + columns) * pitch);
        items[c] = Item::load(at + c * pitch);
      }
      for (int r = 0; r < rows; ++r) {
        Floats v = Floats::load(from + r * p.x_stride);
        for (int c = 0; c < columns; ++c) sums[r][c][u] = fma(v, items[c], sums[r][c][u]);
      }
    }
  }
  for (; i < p.k; i += width) {
    int n = p.k - i < width ? static_cast<int>(p.k - i) : width;
    const char* at = w + i * Item::bytes;
    for (int r = 0; r < rows; ++r) {
      const float* from = x + r * p.x_stride + i;
      Floats v = n == width ? Floats::load(from) : Floats::load(from, n);
      for (int c = 0; c < columns; ++c) {
        Floats items = n == width ? Item::load(at + c * pitch) : Item::load(at + c * pitch, n);
        sums[r][c][0] = fma(v, items, sums[r][c][0]);
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      Floats total = sums[r][c][0];
      for (int u = 1; u < unroll; ++u) total = total + sums[r][c][u];
      float& to = y[r * p.y_stride + c];
      to = p.accumulate ? to + total.sum() : total.sum();
    }
  }
}

// `columns` rows of w with all rows of x: the second and later passes find them in the first cache.
template <Element e, int columns>
inline void dot_all(const FewRows& p, int64_t n) {
  const char* w = static_cast<const char*>(p.w) + n * p.w_stride * Items<e>::bytes;
  float* y = p.y + n;
  int r = 0;
  if (p.m >= 4) dot_block<e, 4, columns, 1, true>(p, p.x, w, y), r = 4;
  for (; r + 4 <= p.m; r += 4) dot_block<e, 4, columns, 1, false>(p, p.x + r * p.x_stride, w, y + r * p.y_stride);
  const float* x = p.x + r * p.x_stride;
  y += r * p.y_stride;
  switch (p.m - r) {
    case 3: dot_block<e, 3, columns, 1, true>(p, x, w, y); break;
    case 2: dot_block<e, 2, columns, 1, true>(p, x, w, y); break;
    case 1: dot_block<e, 1, columns, 1, false>(p, x, w, y); break;
    default: break;
  }
}

template <Element e>
inline void dense_dots_of(const FewRows& p) {
  const char* w = static_cast<const char*>(p.w);
  int64_t n = 0;
  if (p.m == 1) {
    // One stream through memory: the processor's own prefetching is at its best.
    for (; n < p.n; ++n) dot_block<e, 1, 1, 4, false>(p, p.x, w + n * p.w_stride * Items<e>::bytes, p.y + n);
    return;
  }
  // As many sums as registers hold: 32 of them where vectors are long, 16 elsewhere.
  constexpr int columns = Floats::width == 16 ? 4 : 3;
  for (; n + columns <= p.n; n += columns) dot_all<e, columns>(p, n);
  for (; n < p.n; ++n) dot_all<e, 1>(p, n);
}

inline void dense_dots(const FewRows& p) {
  switch (p.element) {
    case Element::f32: return dense_dots_of<Element::f32>(p);
    case Element::f16: return dense_dots_of<Element::f16>(p);
    case Element::bf16: return dense_dots_of<Element::bf16>(p);
  }
}

// Rows of w that are added at a time: a stretch of each is read, long enough for the processor's own prefetching. Sums
// of parts also round less than one long sum.
inline constexpr int64_t kAddedRows = 16;

// Adds rows `first` to `last` of w, times the items of `rows` rows of x, to `vectors` vectors of each row of y. Under
// `partial` there are only `n` items of the one vector.
template <Element e, int rows, int vectors, bool partial>
inline void combine_block(const FewRows& p, const float* x, int64_t first, int64_t last, const char* w, float* y,
                          int n) {
  using Item = Items<e>;
  constexpr int width = Floats::width;
  const bool adds = p.accumulate || first > 0;
  Floats sums[rows][vectors];
  for (auto& of_row : sums) {
    for (Floats& sum : of_row) sum = Floats::zero();
  }
  for (int64_t i = first; i < last; ++i, w += p.w_stride * Item::bytes) {
    Floats items[vectors];
    for (int v = 0; v < vectors; ++v) items[v] = partial ? Item::load(w, n) : Item::load(w + v * width * Item::bytes);
    for (int r = 0; r < rows; ++r) {
      Floats factor = Floats::all(x[r * p.x_stride + i]);
      for (int v = 0; v < vectors; ++v) sums[r][v] = fma(factor, items[v], sums[r][v]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int v = 0; v < vectors; ++v) {
      float* to = y + r * p.y_stride + v * width;
      Floats sum = sums[r][v];
      if (adds) sum = (partial ? Floats::load(to, n) : Floats::load(to)) + sum;
      partial ? sum.store(to, n) : sum.store(to);
    }
  }
}

template <Element e, int rows>
inline void combine_rows(const FewRows& p, int r, int64_t first, int64_t last) {
  constexpr int width = Floats::width, vectors = width == 16 ? 4 : 2;
  constexpr int64_t bytes = Items<e>::bytes;
  const float* x = p.x + r * p.x_stride;
  const char* w = static_cast<const char*>(p.w) + first * p.w_stride * bytes;
  float* y = p.y + r * p.y_stride;
  int64_t n = 0;
  for (; n + vectors * width <= p.n; n += vectors * width) {
    combine_block<e, rows, vectors, false>(p, x, first, last, w + n * bytes, y + n, 0);
  }
  for (; n + width <= p.n; n += width) combine_block<e, rows, 1, false>(p, x, first, last, w + n * bytes, y + n, 0);
  if (n < p.n) combine_block<e, rows, 1, true>(p, x, first, last, w + n * bytes, y + n, static_cast<int>(p.n - n));
}

template <Element e>
inline void combine_of(const FewRows& p) {
  for (int64_t first = 0; first < p.k; first += kAddedRows) {
    int64_t last = first + kAddedRows < p.k ? first + kAddedRows : p.k;
    int r = 0;
    for (; r + 4 <= p.m; r += 4) combine_rows<e, 4>(p, r, first, last);
    switch (p.m - r) {
      case 3: combine_rows<e, 3>(p, r, first, last); break;
      case 2: combine_rows<e, 2>(p, r, first, last); break;
      case 1: combine_rows<e, 1>(p, r, first, last); break;
      default: break;
    }
  }
}

inline void dense_combine(const FewRows& p) {
  switch (p.element) {
    case Element::f32: return combine_of<Element::f32>(p);
    case Element::f16: return combine_of<Element::f16>(p);
    case Element::bf16: return combine_of<Element::bf16>(p);
  }
}

// `n` items of type `e`, `stride` items apart, as floats.
inline void gather(const void* from, Element e, int64_t stride, float* to, int64_t n) {
  if (e == Element::f32) {
    auto p = static_cast<const float*>(from);
    for (int64_t i = 0; i < n; ++i) to[i] = p[i * stride];
    return;
  }
  auto p = static_cast<const uint16_t*>(from);
  constexpr int64_t most = 64;
  uint16_t items[most];
  for (int64_t i = 0; i < n; i += most) {
    int64_t count = n - i < most ? n - i : most;
    for (int64_t k = 0; k < count; ++k) items[k] = p[(i + k) * stride];
    widen(items, e, to + i, count);
  }
}

}  // namespace tensorlogic::TENSORLOGIC_SET
