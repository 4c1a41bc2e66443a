#include <atomic>
#include <cmath>

#include "core/chain.h"
#include "core/packed.h"
#include "core/pool.h"
#include "layouts.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

// Every item once, in ranges that begin at multiples of the grain; work within work.
void every_item_once() {
  for (int threads : {1, 2, 5}) {
    pool().set_threads(threads);
    for (int64_t count : {0, 1, 7, 64, 1000}) {
      for (int64_t grain : {1, 3, 64, 2000}) {
        testing("%lld items in ranges of %lld on %d threads", static_cast<long long>(count),
                static_cast<long long>(grain), threads);
        std::vector<std::atomic<int>> seen(static_cast<size_t>(count));
        std::atomic<bool> even{true};
        pool().parallel(count, grain, [&](int64_t begin, int64_t end) {
          if (begin % grain || end - begin > grain) even = false;
          pool().parallel(end - begin, 2, [&](int64_t from, int64_t to) {
            for (int64_t i = from; i < to; ++i) seen[static_cast<size_t>(begin + i)].fetch_add(1);
          });
        });
        bool once = true;
        for (auto& times : seen) once &= times.load() == 1;
        expect(once && even.load(), "not every item once, or ranges that are uneven");
      }
    }
  }
}

// The same bits whatever the number of threads, and near the reference.
void products(std::string_view set, Random& random) {
  for (int64_t m : {1, 3, 8, 9, 20}) {
    for (Activations kept : kAllKept) {
      RandomMatrix w(random, kLayouts[random.integer(0, 6)], 32, Element::f16, 131, 192);
      testing("%s packed products of %lld rows in %s", set.data(), static_cast<long long>(m), name_of(kept));
      const Guarded<float> x(random.normals(m * 192));
      std::vector<float> first(static_cast<size_t>(m * 131));
      for (int threads : {1, 2, 5}) {
        pool().set_threads(threads);
        Guarded<float> y(m * 131);
        const PackedMatrix matrix = w.view();
        packed_products(x, 192, m, {&matrix, 1}, kept, y, 131);
        if (threads == 1) std::memcpy(first.data(), y.data(), first.size() * 4);
        expect(std::memcmp(first.data(), y.data(), first.size() * 4) == 0, "%d threads give other bits", threads);
      }
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t n = 0; n < 131; ++n) {
          double wanted = 0, sizes = 0;
          for (int64_t l = 0; l < 192; ++l) {
            double product = x[i * 192 + l] * w.value(n, l);
            wanted += product;
            sizes += std::fabs(product);
          }
          float got = first[static_cast<size_t>(i * 131 + n)];
          // An item of at most 5 in int8 is off by half of 5 / 127. Many rows may be in int8 or not.
          double bound = kept == Activations::int8 ? sizes : 1e-4 * sizes;
          expect(close(got, wanted, bound + 1e-4), "row %lld, column %lld: %a, not %a", static_cast<long long>(i),
                 static_cast<long long>(n), got, wanted);
        }
      }
    }
  }
}

using Values = std::vector<double>;

Values normed(const Values& x, int64_t width, double eps, const float* weight) {
  Values y = x;
  for (size_t row = 0; row < x.size(); row += static_cast<size_t>(width)) {
    double squares = 0;
    for (int64_t i = 0; i < width; ++i) squares += x[row + i] * x[row + i];
    double factor = 1 / std::sqrt(squares / static_cast<double>(width) + eps);
    for (int64_t i = 0; i < width; ++i) y[row + i] *= factor * weight[i];
  }
  return y;
}

Values times(const Values& x, RandomMatrix& w) {
  Values y;
  for (size_t row = 0; row < x.size(); row += static_cast<size_t>(w.width)) {
    for (int64_t n = 0; n < w.rows; ++n) {
      y.push_back(0);
      for (int64_t i = 0; i < w.width; ++i) y.back() += x[row + i] * w.value(n, i);
    }
  }
  return y;
}

// A feed-forward block: x + norm(silu(norm(x) @ gate.T) * (norm(x) @ up.T) @ down.T).
void feed_forward(std::string_view set, Random& random) {
  constexpr int64_t width = 96, inner = 160;
  RandomMatrix gate(random, {4, false}, 32, Element::f16, inner, width);
  RandomMatrix up(random, {8, false}, 32, Element::f32, inner, width);
  RandomMatrix down(random, {5, false}, 32, Element::bf16, width, inner);
  const std::vector<float> before = random.normals(width), after = random.normals(width);
  const Norm first{true, 1e-5f, before.data()}, last{true, 1e-6f, after.data()};
  std::vector<Stage> stages(2);
  stages[0].before = first;
  stages[0].matrices = {gate.view(), up.view()};
  stages[0].gate = Gate::silu;
  stages[1].matrices = {down.view()};
  stages[1].after = last;
  stages[1].add_value = 0;
  for (int64_t rows : {1, 4, 11}) {
    const Guarded<float> x(random.normals(rows * width));
    const Values given(x.data(), x.data() + x.size()), middle = normed(given, width, 1e-5, before.data());
    Values gated = times(middle, gate), other = times(middle, up);
    for (size_t i = 0; i < gated.size(); ++i) gated[i] *= other[i] / (1 + std::exp(-gated[i]));
    const Values wanted = normed(times(gated, down), width, 1e-6, after.data());
    for (int threads : {1, 2}) {
      testing("%s feed-forward of %lld rows on %d threads", set.data(), static_cast<long long>(rows), threads);
      pool().set_threads(threads);
      Guarded<float> y(rows * width);
      run_chain(x, rows, stages, {nullptr, y});
      for (int64_t i = 0; i < y.size(); ++i) {
        auto at = static_cast<size_t>(i);
        expect(close(y[i], given[at] + wanted[at], 1e-4), "item %lld: %a, not %a", static_cast<long long>(i), y[i],
               given[at] + wanted[at]);
      }
    }
  }
}

}  // namespace

void test_core(std::string_view set) {
  Random random(6);
  every_item_once();
  products(set, random);
  feed_forward(set, random);
  pool().set_threads(1);
}

}  // namespace tensorlogic::tests
