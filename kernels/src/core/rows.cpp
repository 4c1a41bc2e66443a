#include "core/rows.h"

#include <cmath>

namespace tensorlogic {

void norm_rows(const float* x, int64_t rows, int64_t width, const Norm& norm, float* to) {
  const Kernels& k = kernels();
  each_row(rows, width, [&](int64_t r) {
    const float* row = x + r * width;
    float mean = k.sum_of_squares(row, width) / static_cast<float>(width);
    k.scale(row, 1 / std::sqrt(mean + norm.eps), norm.weight, to + r * width, width);
  });
}

}  // namespace tensorlogic
