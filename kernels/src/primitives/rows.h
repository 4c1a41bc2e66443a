// Row-wise operations (core/rows.h, core/rotary.h) as nodes of MLX graphs.
//
// Each takes float32, float16 or bfloat16 of any strides, computes in float32 and gives the type of its first operand.
// Throws std::invalid_argument where shapes or types do not fit. A node may take the memory of an operand that nobody
// else holds.
#pragma once

#include <optional>

#include "core/rows.h"
#include "primitives/kernel.h"

namespace tensorlogic {

// Over the last dim, as mlx.core.fast has them; weights of [D], of any float type.
mx::array rms_norm(const mx::array& x, const std::optional<mx::array>& weight, float eps);
mx::array layer_norm(const mx::array& x, const std::optional<mx::array>& weight, const std::optional<mx::array>& bias,
                     float eps);
mx::array softmax(const mx::array& x);

mx::array activate(const mx::array& x, Activation activation);
// activation(gate) * up; the type is the gate's.
mx::array gated(const mx::array& gate, const mx::array& up, Gate kind);
// The place of the largest item of each row as int32, -1 where there is a NaN.
mx::array argmax(const mx::array& x);
mx::array cast(const mx::array& x, mx::Dtype type);

// x [..., L, D]: the first `dims` items of rows at positions offset, offset + 1, ... turned, as mlx.core.fast.rope has
// it; freqs [dims / 2] in place of `base`.
mx::array rope(const mx::array& x, int dims, bool traditional, std::optional<float> base, float scale, int offset,
               const std::optional<mx::array>& freqs);

}  // namespace tensorlogic
