#include "primitives/dense.h"

#include <algorithm>
#include <stdexcept>

#include "core/dense.h"
#include "mlx/ops.h"

namespace tensorlogic {
namespace {

// Whoever makes a graph asks whether memory holds it; of more items than these not even the bytes can be counted.
constexpr int64_t kMostItems = int64_t{1} << 60;

struct Sizes {
  int64_t m, n, k;
  mx::Shape batch, result;
};

// A matrix's dims as if it were in the batch [1, ...], 1 where there is none.
int batch_dim(const mx::Shape& shape, size_t rank, size_t d) {
  size_t own = shape.size() > 2 ? shape.size() - 2 : 0;
  return d + own < rank ? 1 : shape[d + own - rank];
}

std::string both(const mx::Shape& a, const mx::Shape& b) { return text(a) + " and " + text(b); }

Sizes sizes_of(const mx::Shape& a, const mx::Shape& b, const char* name) {
  if (a.empty() || b.empty()) refuse(name, "operands have a rank of 1 or more, not " + both(a, b));
  const bool row = a.size() == 1, column = b.size() == 1;
  Sizes s{row ? 1 : a[a.size() - 2], column ? 1 : b.back(), a.back(), {}, {}};
  if (s.k != (column ? b[0] : b[b.size() - 2])) refuse(name, "inner dims of " + both(a, b) + " differ");
  const size_t rank = std::max({a.size(), b.size(), size_t{2}}) - 2;
  for (size_t d = 0; d < rank; ++d) {
    int x = batch_dim(a, rank, d), y = batch_dim(b, rank, d);
    if (x != y && x != 1 && y != 1) refuse(name, "batches of " + both(a, b) + " do not broadcast");
    s.batch.push_back(x == 1 ? y : x);
  }
  s.result = s.batch;
  if (!row) s.result.push_back(static_cast<int>(s.m));
  if (!column) s.result.push_back(static_cast<int>(s.n));
  int64_t items = 1;
  for (int dim : s.result) {
    if (dim != 0 && items > kMostItems / dim) refuse(name, "what comes of " + both(a, b) + " has more than 2^60 items");
    items *= dim;
  }
  return s;
}

// The stride of dim `d` of `rank` where `a` is broadcast to that rank; its own last `skip` dims are not counted.
int64_t stride_of(const mx::array& a, size_t skip, size_t rank, size_t d) {
  size_t own = a.ndim() > skip ? a.ndim() - skip : 0;
  if (d + own < rank) return 0;
  int dim = static_cast<int>(d + own - rank);
  return a.shape(dim) == 1 ? 0 : a.strides()[static_cast<size_t>(dim)];
}

MatrixView view_of(const mx::array& a) { return {a.data<char>(), element_of(a.dtype()), 0, 1}; }

// Inputs: a and b, and for a sum c, too.
class Matmul : public Kernel {
 public:
  const char* name() const override { return "TensorLogicMatmul"; }

  bool is_equivalent(const Primitive& other) const override { return dynamic_cast<const Matmul*>(&other) != nullptr; }

  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override {
    return {sizes_of(inputs[0].shape(), inputs[1].shape(), name()).result};
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    const mx::array &a = inputs[0], &b = inputs[1];
    const Sizes s = sizes_of(a.shape(), b.shape(), name());
    allocate(outputs[0]);
    DenseProduct p{s.m, s.n, s.k, view_of(a), view_of(b), {}, outputs[0].data<char>(), element_of(a.dtype()), s.n};
    const bool row = a.ndim() == 1, column = b.ndim() == 1;
    p.a.column_stride = a.strides().back();
    if (!row) p.a.row_stride = a.strides()[a.ndim() - 2];
    p.b.row_stride = b.strides()[column ? 0 : b.ndim() - 2];
    if (!column) p.b.column_stride = b.strides().back();
    const size_t rank = s.batch.size(), full = s.result.size();
    for (size_t d = 0; d < rank; ++d) {
      p.batches.push_back({s.batch[d], stride_of(a, 2, rank, d), stride_of(b, 2, rank, d), 0});
    }
    if (inputs.size() == 3) {
      const mx::array& c = inputs[2];
      p.addend = view_of(c);
      if (!row) p.addend.row_stride = stride_of(c, 0, full, rank);
      if (!column) p.addend.column_stride = stride_of(c, 0, full, full - 1);
      for (size_t d = 0; d < rank; ++d) p.batches[d].addend_stride = stride_of(c, 0, full, d);
    }
    dispatch([p = std::move(p)]() mutable { dense_product(std::move(p)); });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    const mx::array& a = inputs[0];
    const mx::array b = mx::astype(inputs[1], a.dtype());
    if (inputs.size() == 3) return {mx::addmm(mx::astype(inputs[2], a.dtype()), a, b)};
    return {mx::matmul(a, b)};
  }
};

void require_types(const mx::array& a, const mx::array& b, const char* name) {
  if (is_float(a.dtype()) && is_float(b.dtype())) return;
  refuse(name, "operands are of float32, float16 or bfloat16, not " + text(a.dtype()) + " and " + text(b.dtype()));
}

}  // namespace

mx::array matmul(const mx::array& a, const mx::array& b) {
  constexpr const char* name = "tensorlogic_cpu.matmul";
  require_types(a, b, name);
  Sizes s = sizes_of(a.shape(), b.shape(), name);
  return mx::array(s.result, a.dtype(), std::make_shared<Matmul>(), {a, b});
}

mx::array addmm(const mx::array& c, const mx::array& a, const mx::array& b) {
  constexpr const char* name = "tensorlogic_cpu.addmm";
  require_types(a, b, name);
  require_types(c, b, name);
  Sizes s = sizes_of(a.shape(), b.shape(), name);
  bool fits = c.ndim() <= s.result.size();
  for (size_t d = 1; fits && d <= c.ndim(); ++d) {
    int dim = c.shape(-static_cast<int>(d));
    fits = dim == 1 || dim == s.result[s.result.size() - d];
  }
  if (!fits) refuse(name, "what is added, " + text(c.shape()) + ", does not broadcast to " + text(s.result));
  return mx::array(s.result, a.dtype(), std::make_shared<Matmul>(), {a, b, c});
}

}  // namespace tensorlogic
