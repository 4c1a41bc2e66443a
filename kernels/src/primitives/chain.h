// Chains of packed products (core/chain.h) as nodes of MLX graphs.
#pragma once

#include <optional>

#include "core/chain.h"
#include "primitives/kernel.h"

namespace tensorlogic {

// A matrix of packed weights, as mlx.core.quantize gives its parts. Checked when it is made: then its codes, scales and
// biases have the sizes that their shapes say, and the shapes fit each other.
class Matrix {
 public:
  // weight: uint32 [O, I * bits / 32]; scales and biases: float [O, I / group], or scales: uint8 and no biases in the mode
  // "mxfp4". Throws std::invalid_argument for anything else.
  Matrix(mx::array weight, mx::array scales, std::optional<mx::array> biases, int bits, int group,
         const std::string& mode);

  int64_t rows() const { return weight.shape(0); }
  int64_t width() const { return static_cast<int64_t>(weight.shape(1)) * 32 / bits; }

  mx::array weight, scales;
  std::optional<mx::array> biases;
  int bits, group;
  Packing packing;
};

// One stage, with the arrays that it takes.
struct StageArrays {
  std::vector<Matrix> matrices;
  // Present where `eps_before` is; the weight may be absent.
  std::optional<float> eps_before, eps_after;
  std::optional<mx::array> weight_before, weight_after;
  Gate gate = Gate::none;
  std::optional<mx::array> add;
  int add_value = -1;
  bool int8 = false;
};

// The values of the stages that `results` names (counted from 1), as nodes of one computation, of x's leading dims and
// type. Throws std::invalid_argument where shapes or types do not fit.
std::vector<mx::array> chain(const mx::array& x, const std::vector<StageArrays>& stages,
                             const std::vector<int>& results);

}  // namespace tensorlogic
