// Chains of packed products (core/chain.h) as nodes of MLX graphs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "core/chain.h"
#include "primitives/kernel.h"

namespace tensorlogic {

// A matrix of weights [O, I]: packed, as mlx.core.quantize gives its parts, or of floats. Checked when it is made: then its
// codes, scales and biases have the sizes that their shapes say, and the shapes fit each other.
class Matrix {
 public:
  // weight: float32, float16 or bfloat16 [O, I]. Throws std::invalid_argument for anything else.
  explicit Matrix(mx::array weight);

  // weight: uint32 [O, I * bits / 32]; scales and biases: float [O, I / group], or scales: uint8 and no biases in the mode
  // "mxfp4". Throws std::invalid_argument for anything else.
  Matrix(mx::array weight, mx::array scales, std::optional<mx::array> biases, int bits, int group,
         const std::string& mode);

  int64_t rows() const { return weight.shape(0); }
  int64_t width() const { return packing == Packing::none ? weight.shape(1) : static_cast<int64_t>(weight.shape(1)) * 32 / bits; }

  mx::array weight;
  std::optional<mx::array> scales, biases;
  int bits, group;
  Packing packing;
};

// One stage, with its weights.
struct StageArrays {
  std::vector<Matrix> matrices;
  // Present where `eps_before` is; the weight may be absent.
  std::optional<float> eps_before, eps_after;
  std::optional<mx::array> weight_before, weight_after;
  Gate gate = Gate::none;
  // What is added: nothing, the value of an earlier stage (0 is the chain's input), or one of the addends of a call.
  enum class Add : uint8_t { none, value, addend } add = Add::none;
  int add_index = 0;
  Activations kept = Activations::float32;
};

// Stages whose shapes fit each other, made once and called with every x: a call costs as much as a node does.
class Chain {
 public:
  // `results`: which stages' values a call gives, counted from 1. Throws std::invalid_argument where shapes or types do not
  // fit.
  Chain(const std::vector<StageArrays>& stages, std::vector<int> results);

  // x [..., I] of floats; the results have its leading dims and type, as do the addends. Throws std::invalid_argument
  // where they do not fit.
  std::vector<mx::array> operator()(const mx::array& x, const std::vector<mx::array>& addends) const;

  // An array object that a weight is of, which lives as long as `unchanged` is asked.
  void watch(const mx::array* object) { watched_.emplace_back(object, object->id()); }
  // Whether the objects still are the arrays that they were: Python's `w -= x` makes another array of the same object.
  bool unchanged() const {
    return std::all_of(watched_.begin(), watched_.end(), [](const auto& each) { return each.first->id() == each.second; });
  }

  struct Plan;

 private:
  std::shared_ptr<const Plan> plan_;
  std::vector<mx::array> weights_;
  std::vector<std::pair<const mx::array*, std::uintptr_t>> watched_;
};

}  // namespace tensorlogic
