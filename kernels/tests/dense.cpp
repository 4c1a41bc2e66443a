#include "core/dense.h"

#include <cmath>

#include "core/isa.h"
#include "core/pool.h"
#include "random_rows.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

// Few rows with a matrix that is read along its rows, or across them.
void few_rows(const Kernels& k, Random& random) {
  for (int round = 0; round < 400; ++round) {
    const bool across = round % 2;
    const int m = random.integer(1, 17);
    const int64_t width = random.integer(1, 90), n = random.integer(1, 90);
    const Element type = kTypes[round % 3];
    testing("%s %s of %d rows of %lld items with %lld columns of %d bytes", k.name, across ? "combinations" : "dots", m,
            static_cast<long long>(width), static_cast<long long>(n), size_of(type));
    RandomRows x(random, Element::f32, m, width, random.integer(0, 3)), y(random, Element::f32, m, n, round % 4);
    RandomRows w(random, type, across ? width : n, across ? n : width, random.integer(0, 3));
    Guarded<float> to(y.items());
    std::memcpy(to.data(), y.floats(), static_cast<size_t>(y.items()) * 4);
    const bool accumulate = random.integer(0, 1);
    const FewRows few{x.floats(), x.stride, m, w.memory.data(), type, w.stride, width, n, to, y.stride, accumulate};
    across ? k.dense_combine(few) : k.dense_dots(few);
    for (int64_t r = 0; r < m; ++r) {
      for (int64_t c = 0; c < n; ++c) {
        double wanted = accumulate ? y.item(r, c) : 0, sizes = std::fabs(wanted);
        for (int64_t i = 0; i < width; ++i) {
          const double product = x.item(r, i) * (across ? w.item(i, c) : w.item(c, i));
          wanted += product;
          sizes += std::fabs(product);
        }
        const float got = to[r * y.stride + c];
        expect(close(got, wanted, (static_cast<double>(width) / 8 + 20) * kHalfUlp * sizes),
               "row %lld, column %lld: %a, not %a", static_cast<long long>(r), static_cast<long long>(c), got, wanted);
      }
      for (int64_t c = n; c < y.stride && r + 1 < m; ++c) {
        expect(to[r * y.stride + c] == static_cast<float>(y.floats()[r * y.stride + c]), "between rows was written");
      }
    }
  }
}

void gathers(const Kernels& k, Random& random) {
  for (int n = 0; n <= 140; n = n < 40 ? n + 1 : n + 10) {
    for (Element type : kTypes) {
      const int64_t stride = random.integer(1, 5);
      testing("%s gather of %d items of %d bytes", k.name, n, size_of(type));
      RandomRows items(random, type, n, 1, stride - 1);
      Guarded<float> to(n);
      k.gather(items.memory.data(), type, stride, to, n);
      for (int i = 0; i < n; ++i) expect(to[i] == static_cast<float>(items.item(i, 0)), "item %d is %a", i, to[i]);
    }
  }
}

// [rows, columns] of any type that lies by rows, by columns, or in gaps.
MatrixView placed(const RandomRows& of, int how) {
  if (how == 0) return {of.memory.data(), of.type, of.stride, 1};
  return {of.memory.data(), of.type, 1, of.stride};
}

void products(std::string_view set, Random& random) {
  for (int round = 0; round < 60; ++round) {
    const int64_t m = random.integer(1, round % 2 ? 16 : 60), n = random.integer(1, 70), width = random.integer(1, 60);
    const int a_how = random.integer(0, 1), b_how = random.integer(0, 1);
    testing("%s dense product [%lld, %lld] @ [%lld, %lld]", set.data(), static_cast<long long>(m),
            static_cast<long long>(width), static_cast<long long>(width), static_cast<long long>(n));
    RandomRows a(random, kTypes[round % 3], a_how ? width : m, a_how ? m : width, random.integer(0, 2));
    RandomRows b(random, kTypes[round / 3 % 3], b_how ? n : width, b_how ? width : n, random.integer(0, 2));
    RandomRows addend(random, kTypes[round % 3], m, n, 1);
    DenseProduct p{};
    p.m = m, p.n = n, p.k = width;
    p.a = placed(a, a_how);
    p.b = placed(b, b_how);
    if (round % 4 == 0) p.addend = placed(addend, 0);
    p.c_element = Element::f32;
    p.c_row_stride = n;
    p.c_column_stride = 1;
    std::vector<float> first;
    for (int threads : {1, 3}) {
      pool().set_threads(threads);
      Guarded<float> c(m * n);
      p.c = c.data();
      dense_product(p);
      if (threads == 1) first.assign(c.data(), c.data() + c.size());
      expect(std::memcmp(first.data(), c.data(), first.size() * 4) == 0, "%d threads give other bits", threads);
    }
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double wanted = p.addend.data ? addend.item(i, j) : 0, sizes = std::fabs(wanted);
        for (int64_t l = 0; l < width; ++l) {
          const double product = (a_how ? a.item(l, i) : a.item(i, l)) * (b_how ? b.item(j, l) : b.item(l, j));
          wanted += product;
          sizes += std::fabs(product);
        }
        const float got = first[static_cast<size_t>(i * n + j)];
        expect(close(got, wanted, (static_cast<double>(width) / 8 + 20) * kHalfUlp * sizes),
               "row %lld, column %lld: %a, not %a", static_cast<long long>(i), static_cast<long long>(j), got, wanted);
      }
    }
  }
  pool().set_threads(1);
}

}  // namespace

void test_dense(std::string_view set) {
  const Kernels& k = kernels();
  Random random(10);
  few_rows(k, random);
  gathers(k, random);
  products(set, random);
}

}  // namespace tensorlogic::tests
