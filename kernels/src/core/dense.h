// Products of dense matrices in memory of any strides, batched, on all threads of the pool.
//
// Transposes are read where they lie; matrices of other strides, and those in half precision, are copied to float32 a
// tile at a time, so that the memory needed does not grow with them. Few rows (or few columns) are bound by reading the
// other matrix and have loops of their own; the rest is OpenBLAS's. Sums are in float32 and rounded once. The result is
// cut into tiles that depend on sizes alone, and each is summed by one thread: the number of threads changes no bit.
// Strides, element types and the instruction set may, since they decide on the order of the sums.
#pragma once

#include <vector>

#include "core/element.h"

namespace tensorlogic {

// Strides count items and may be zero or negative.
struct MatrixView {
  const void* data = nullptr;
  Element element = Element::f32;
  int64_t row_stride = 0, column_stride = 1;
};

// A dim of the batch: how many products, and how far apart their matrices lie.
struct DenseBatch {
  int64_t count, a_stride, b_stride, addend_stride;
};

// c = a @ b + addend
struct DenseProduct {
  int64_t m, n, k;
  MatrixView a, b;    // [m, k] and [k, n]
  MatrixView addend;  // [m, n], or null
  void* c;            // [m, n]
  Element c_element;
  int64_t c_row_stride, c_column_stride = 1;  // one of the two is 1
  // From the outer to the inner; their matrices c follow each other without gaps.
  std::vector<DenseBatch> batches = {};
};

void dense_product(DenseProduct product);

// y = x @ w.T for `m` rows of x and the matrix w [rows, width], which has no gaps. Rows of x and y are `x_stride` and
// `y_stride` apart.
void dense_matmul(const float* x, int64_t x_stride, int64_t m, const void* w, Element element, int64_t rows,
                  int64_t width, float* y, int64_t y_stride);

}  // namespace tensorlogic
