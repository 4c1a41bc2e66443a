// Attention of many query rows, in terms of `Floats`: two vectors of queries, a lane for each, go over a block of keys.
// Scores are kept as [keys, lanes], so that the softmax over keys has no sums across a vector, and the weights of eight
// queries stand beside each other for the product with values.

namespace tensorlogic::TENSORLOGIC_SET {

inline constexpr int kLanes = 2 * Floats::width;
// Keys, or queries, whose products with two vectors are in registers together.
inline constexpr int kTileRows = Floats::width == 16 ? 8 : 4;

// Items of queries and keys that are multiplied before the next ones: a tile's part stays in the first cache.
inline constexpr int64_t kItemsAtOnce = 128;

// Scores of kTileRows keys with all lanes, added to what `to` holds where `more` is set.
inline void tile_scores(const float* q, const float* k, int64_t k_stride, int64_t width, bool more, float* to) {
  Floats c[kTileRows][2];
  for (int r = 0; r < kTileRows; ++r) {
    c[r][0] = more ? Floats::load(to + r * kLanes) : Floats::zero();
    c[r][1] = more ? Floats::load(to + r * kLanes + Floats::width) : Floats::zero();
  }
  for (int64_t d = 0; d < width; ++d) {
    Floats a = Floats::load(q + d * kLanes), b = Floats::load(q + d * kLanes + Floats::width);
    for (int r = 0; r < kTileRows; ++r) {
      Floats x = Floats::all(k[r * k_stride + d]);
      c[r][0] = fma(x, a, c[r][0]);
      c[r][1] = fma(x, b, c[r][1]);
    }
  }
  for (int r = 0; r < kTileRows; ++r) {
    c[r][0].store(to + r * kLanes);
    c[r][1].store(to + r * kLanes + Floats::width);
  }
}

// sums[r] = sums[r] * factors[r] + the sum over keys of p[key][r] * values[key], for kTileRows queries and `vectors`
// vectors of columns.
template <int vectors>
inline void tile_sums(const float* p, int64_t count, const float* values, int64_t stride, const float* factors,
                      float* sums, int64_t sums_stride) {
  Floats c[kTileRows][vectors];
  for (int r = 0; r < kTileRows; ++r) {
    for (int i = 0; i < vectors; ++i) {
      c[r][i] = Floats::load(sums + r * sums_stride + i * Floats::width) * Floats::all(factors[r]);
    }
  }
  for (int64_t j = 0; j < count; ++j) {
    Floats v[vectors];
    for (int i = 0; i < vectors; ++i) v[i] = Floats::load(values + j * stride + i * Floats::width);
    for (int r = 0; r < kTileRows; ++r) {
      Floats x = Floats::all(p[j * kLanes + r]);
      for (int i = 0; i < vectors; ++i) c[r][i] = fma(x, v[i], c[r][i]);
    }
  }
  for (int r = 0; r < kTileRows; ++r) {
    for (int i = 0; i < vectors; ++i) c[r][i].store(sums + r * sums_stride + i * Floats::width);
  }
}

inline void attend_block(const KeyBlock& block, const QueryTile& tile) {
  constexpr int width = Floats::width;
  float* scores = block.scores;
  Floats top[2] = {Floats::load(tile.largest), Floats::load(tile.largest + width)};
  const Floats before[2] = {top[0], top[1]};
  // Without items a query's product with a key is 0.
  for (int64_t i = 0; block.width == 0 && i < block.count * kLanes; ++i) scores[i] = 0;
  for (int64_t d = 0; d < block.width; d += kItemsAtOnce) {
    const int64_t n = block.width - d < kItemsAtOnce ? block.width - d : kItemsAtOnce;
    for (int64_t j = 0; j < block.count; j += kTileRows) {
      tile_scores(tile.q + d * kLanes, block.keys + j * block.key_stride + d, block.key_stride, n, d > 0,
                  scores + j * kLanes);
    }
  }
  for (int i = 0; i < 2; ++i) {
    float* lane = scores + i * width;
    for (int64_t j = 0; j < block.count; ++j) {
      Floats s = Floats::load(lane + j * kLanes);
      if (block.bias) {
        s = s + Floats::load(block.bias[j] + i * width);
        s.store(lane + j * kLanes);
      }
      top[i] = max(top[i], s);
    }
  }
  float factors[kLanes];
  for (int i = 0; i < 2; ++i) {
    Floats factor = exponential_of_negative(before[i] - top[i]);
    Floats total = Floats::load(tile.total + i * width) * factor;
    for (int64_t j = 0; j < block.count; ++j) {
      Floats p = exponential_of_negative(Floats::load(scores + j * kLanes + i * width) - top[i]);
      p.store(scores + j * kLanes + i * width);
      total = total + p;
    }
    factor.store(factors + i * width);
    top[i].store(tile.largest + i * width);
    total.store(tile.total + i * width);
  }
  // Column by column, so that the values of two vectors of them are in the first cache for all queries.
  for (int64_t column = 0; column < block.value_width; column += 2 * width) {
    for (int r = 0; r < kLanes; r += kTileRows) {
      auto take = column + 2 * width <= block.value_width ? tile_sums<2> : tile_sums<1>;
      take(scores + r, block.count, block.values + column, block.value_stride, factors + r,
           tile.sums + r * tile.sums_stride + column, tile.sums_stride);
    }
  }
}

}  // namespace tensorlogic::TENSORLOGIC_SET
