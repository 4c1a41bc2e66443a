#include <algorithm>
#include <cmath>

#include "core/attention.h"
#include "core/isa.h"
#include "core/pool.h"
#include "random_rows.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

FloatRows view(const RandomRows& of) { return {of.memory.data(), of.type, of.stride}; }

void dots(const Kernels& k, Random& random) {
  for (int round = 0; round < 150; ++round) {
    const int64_t rows = random.integer(1, 9), count = random.integer(0, 37), width = 16 * random.integer(1, 9);
    const Element type = kTypes[round % 3];
    testing("%s dots of %lld rows of %lld items of %d bytes with %lld keys", k.name, static_cast<long long>(rows),
            static_cast<long long>(width), size_of(type), static_cast<long long>(count));
    RandomRows q(random, Element::f32, rows, width, random.integer(0, 5)), keys(random, type, count, width, round % 4);
    const int64_t to_stride = count + random.integer(0, 3);
    Guarded<float> to((rows - 1) * to_stride + count);
    k.dots(q.floats(), q.stride, rows, view(keys), count, width, to, to_stride);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < count; ++j) {
        double wanted = 0, sizes = 0;
        for (int64_t d = 0; d < width; ++d) {
          wanted += q.item(r, d) * keys.item(j, d);
          sizes += std::fabs(q.item(r, d) * keys.item(j, d));
        }
        const float got = to[r * to_stride + j];
        expect(close(got, wanted, (static_cast<double>(width) / 8 + 8) * kHalfUlp * sizes),
               "row %lld, key %lld: %a, not %a", static_cast<long long>(r), static_cast<long long>(j), got, wanted);
      }
      for (int64_t j = count; j < to_stride && r + 1 < rows; ++j) {
        expect(to.untouched(r * to_stride + j), "what lies between rows was written");
      }
    }
  }
}

void weighted(const Kernels& k, Random& random) {
  for (int round = 0; round < 150; ++round) {
    const int64_t rows = random.integer(1, 9), count = random.integer(0, 37), width = 16 * random.integer(1, 9);
    const Element type = kTypes[round % 3];
    testing("%s weighted sums of %lld rows of %lld items of %d bytes over %lld values", k.name,
            static_cast<long long>(rows), static_cast<long long>(width), size_of(type), static_cast<long long>(count));
    RandomRows p(random, Element::f32, rows, count, random.integer(0, 5));
    RandomRows values(random, type, count, width, round % 4);
    RandomRows before(random, Element::f32, rows, width, random.integer(0, 3));
    Guarded<float> to(before.memory.size() / 4);
    if (to.size()) std::memcpy(to.data(), before.memory.data(), static_cast<size_t>(before.memory.size()));
    k.add_weighted(p.floats(), p.stride, rows, view(values), count, width, to,
                   before.stride);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < width; ++c) {
        double wanted = before.item(r, c), sizes = std::fabs(wanted);
        for (int64_t j = 0; j < count; ++j) {
          wanted += p.item(r, j) * values.item(j, c);
          sizes += std::fabs(p.item(r, j) * values.item(j, c));
        }
        const float got = to[r * before.stride + c];
        expect(close(got, wanted, (static_cast<double>(count) + 2) * kHalfUlp * sizes),
               "row %lld, column %lld: %a, not %a", static_cast<long long>(r), static_cast<long long>(c), got, wanted);
      }
    }
  }
}

void softmax(const Kernels& k, Random& random) {
  for (int n = 0; n <= 50; ++n) {
    testing("%s softmax weights of %d scores", k.name, n);
    Guarded<float> x(padded_to_16(n));
    std::vector<float> before = random.normals(n);
    for (float& s : before) s = random.integer(0, 9) == 0 ? -INFINITY : s * 30;
    std::copy(before.begin(), before.end(), x.data());
    float largest = 0, top = -3.4028235e38f;
    double total = 0;
    for (float s : before) top = std::max(top, s);
    const float got = k.softmax_weights(x, n, &largest);
    expect(largest == top, "the largest is %a, not %a", largest, top);
    for (int i = 0; i < n; ++i) {
      const double wanted = std::exp(static_cast<double>(before[static_cast<size_t>(i)] - top));
      total += wanted;
      expect(close(x[i], wanted, 2e-7 * wanted + 0x1p-126), "weight %d: %a, not %a", i, x[i], wanted);
    }
    expect(close(got, total, 1e-6 * total + 1e-37), "the sum is %a, not %a", got, total);
  }
  testing("%s softmax weights of no numbers", k.name);
  for (float bad : {NAN, INFINITY}) {
    std::vector<float> x(16, 1.0f);
    float largest;
    x[5] = bad;
    expect(std::isnan(k.softmax_weights(x.data(), 16, &largest)), "%a is lost", bad);
  }
  std::vector<float> hidden(16, -INFINITY);
  float largest;
  expect(k.softmax_weights(hidden.data(), 16, &largest) == 0, "weights where nothing is seen");
}

// Blocks one after another, against the softmax over all of their keys.
void blocks(const Kernels& k, Random& random) {
  for (int round = 0; round < 60; ++round) {
    const int64_t lanes = k.query_lanes, width = random.integer(1, 140), value_width = 16 * random.integer(1, 5);
    testing("%s blocks of keys, width %lld, values of %lld", k.name, static_cast<long long>(width),
            static_cast<long long>(value_width));
    RandomRows q(random, Element::f32, width, lanes, 0);
    Guarded<float> largest(lanes), total(lanes), sums(lanes * value_width);
    std::fill_n(largest.data(), lanes, -3.4028235e38f);
    std::fill_n(total.data(), lanes, 0.0f);
    std::fill_n(sums.data(), lanes * value_width, 0.0f);
    const QueryTile tile{q.floats(), largest, total, sums, value_width};
    std::vector<std::vector<double>> scores(static_cast<size_t>(lanes)), values(static_cast<size_t>(value_width));
    for (int b = 0; b < 3; ++b) {
      const int64_t count = random.integer(1, 30);
      RandomRows keys(random, Element::f32, count + kKeyPadding, width, 3);
      RandomRows of_block(random, Element::f32, count, value_width, 5);
      Guarded<float> room((count + kKeyPadding) * lanes);
      std::vector<std::vector<float>> added;
      std::vector<const float*> bias;
      for (int64_t j = 0; j < count; ++j) {
        added.push_back(random.normals(lanes));
        // The first lane sees nothing, others not all.
        for (float& x : added.back()) x = random.integer(0, 3) == 0 ? -INFINITY : x;
        added.back()[0] = -INFINITY;
      }
      for (auto& of_key : added) bias.push_back(of_key.data());
      const bool biased = round % 2;
      k.attend_block({count, width, value_width, keys.floats(),
                      of_block.floats(), keys.stride, of_block.stride,
                      biased ? bias.data() : nullptr, room},
                     tile);
      for (int64_t j = 0; j < count; ++j) {
        for (int64_t lane = 0; lane < lanes; ++lane) {
          double score = biased ? added[static_cast<size_t>(j)][static_cast<size_t>(lane)] : 0;
          for (int64_t d = 0; d < width; ++d) score += q.item(d, lane) * keys.item(j, d);
          scores[static_cast<size_t>(lane)].push_back(score);
        }
        for (int64_t c = 0; c < value_width; ++c) values[static_cast<size_t>(c)].push_back(of_block.item(j, c));
      }
    }
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const auto& of_lane = scores[static_cast<size_t>(lane)];
      const double top = *std::max_element(of_lane.begin(), of_lane.end());
      double weights = 0;
      for (double s : of_lane) weights += std::isinf(top) ? 0 : std::exp(s - top);
      // Scores of up to 50 are sums of 140 products: their rounding is what e^score makes larger.
      expect(close(total[lane], weights, 1e-4 * weights), "lane %lld: weights of %a, not %a",
             static_cast<long long>(lane), total[lane], weights);
      for (int64_t c = 0; c < value_width; ++c) {
        double wanted = 0;
        for (size_t j = 0; j < of_lane.size(); ++j) {
          wanted += std::isinf(top) ? 0 : std::exp(of_lane[j] - top) * values[static_cast<size_t>(c)][j];
        }
        const float got = sums[lane * value_width + c];
        expect(close(got, wanted, 1e-4 * weights), "lane %lld, column %lld: %a, not %a", static_cast<long long>(lane),
               static_cast<long long>(c), got, wanted);
      }
    }
  }
}

// Whole attention: grouped heads, causal, with and without a window, few and many queries, on several threads.
void heads(std::string_view set, Random& random) {
  for (int round = 0; round < 24; ++round) {
    const Element type = kTypes[round % 3];
    const int64_t batch = random.integer(1, 2), kv_heads = random.integer(1, 2), group = random.integer(1, 3);
    const int64_t queries = round % 2 ? random.integer(1, 8) : random.integer(9, 70);
    const int64_t keys = queries + random.integer(0, 200), width = random.integer(1, 5) * 8, value_width = 24;
    testing("%s attention of %lld queries to %lld keys, %d bytes", set.data(), static_cast<long long>(queries),
            static_cast<long long>(keys), size_of(type));
    RandomRows q(random, Element::f32, batch * kv_heads * group * queries, width, 0);
    RandomRows k(random, type, batch * kv_heads * keys, width, 0);
    RandomRows v(random, type, batch * kv_heads * keys, value_width, 0);
    Attention a{};
    a.batch = batch, a.heads = kv_heads * group, a.kv_heads = kv_heads, a.queries = queries, a.keys = keys;
    auto rows_of = [](RandomRows& of, int64_t of_heads, int64_t rows, int64_t items) {
      HeadRows r;
      r.data = reinterpret_cast<const char*>(of.memory.data());
      r.type = of.type;
      r.strides = {of_heads * rows * items, rows * items, items, 1};
      r.width = items;
      return r;
    };
    a.q = rows_of(q, a.heads, queries, width);
    a.k = rows_of(k, kv_heads, keys, width);
    a.v = rows_of(v, kv_heads, keys, value_width);
    a.scale = 1 / std::sqrt(static_cast<float>(width));
    a.causal = random.integer(0, 3) > 0;
    a.window = a.causal && random.integer(0, 1) ? random.integer(1, 90) : 0;
    a.out_type = Element::f32;
    std::vector<float> first;
    for (int threads : {1, 3}) {
      pool().set_threads(threads);
      Guarded<float> out(batch * queries * a.heads * value_width);
      a.out = out.data();
      attend(a);
      if (threads == 1) first.assign(out.data(), out.data() + out.size());
      expect(std::memcmp(first.data(), out.data(), first.size() * 4) == 0, "%d threads give other bits", threads);
    }
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t h = 0; h < a.heads; ++h) {
        for (int64_t i = 0; i < queries; ++i) {
          const int64_t place = keys - queries + i, end = a.causal ? place + 1 : keys;
          const int64_t begin = a.window ? std::max<int64_t>(0, place + 1 - a.window) : 0;
          const int64_t kv = (b * kv_heads + h / group) * keys, query = (b * a.heads + h) * queries + i;
          std::vector<double> wanted(static_cast<size_t>(value_width));
          double weights = 0;
          for (int64_t j = begin; j < end; ++j) {
            double score = 0;
            for (int64_t d = 0; d < width; ++d) score += q.item(query, d) * k.item(kv + j, d);
            const double weight = std::exp(score * static_cast<double>(a.scale));
            weights += weight;
            for (int64_t c = 0; c < value_width; ++c) wanted[static_cast<size_t>(c)] += weight * v.item(kv + j, c);
          }
          for (int64_t c = 0; c < value_width; ++c) {
            const double expected = wanted[static_cast<size_t>(c)] / weights;
            const float got = first[static_cast<size_t>(((b * queries + i) * a.heads + h) * value_width + c)];
            expect(close(got, expected, 2e-6), "head %lld, query %lld, item %lld: %a, not %a",
                   static_cast<long long>(h), static_cast<long long>(i), static_cast<long long>(c), got, expected);
          }
        }
      }
    }
  }
  pool().set_threads(1);
}

}  // namespace

void test_attention(std::string_view set) {
  const Kernels& k = kernels();
  Random random(8);
  dots(k, random);
  weighted(k, random);
  softmax(k, random);
  blocks(k, random);
  heads(set, random);
}

}  // namespace tensorlogic::tests
