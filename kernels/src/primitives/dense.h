// Dense products as nodes of MLX graphs.
#pragma once

#include "primitives/kernel.h"

namespace tensorlogic {

// As mlx.core.matmul and mlx.core.addmm (c + a @ b) define them, for float32, float16 and bfloat16; the result is of the
// type of a, whatever the others are. Throws std::invalid_argument where types or shapes do not fit.
mx::array matmul(const mx::array& a, const mx::array& b);
mx::array addmm(const mx::array& c, const mx::array& a, const mx::array& b);

}  // namespace tensorlogic
