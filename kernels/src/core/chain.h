// Packed products in a row, with the row-wise work between them, on float32 rows.
//
// A decoding step multiplies one row by hundreds of small matrices; as nodes of a graph of their own, norms, gates and
// sums cost more than they compute. A chain takes one array of rows through several stages without leaving this file:
//
//     value = x, then for each stage
//     value = add + norm_after(gate(norm_before(value) @ [w1; w2; ...].T))
//
// where everything but the product may be absent. The values of earlier stages can be added later and can be results.
#pragma once

#include <vector>

#include "core/isa.h"

namespace tensorlogic {

// The first half of a product's columns, activated, times the second half.
enum class Gate : uint8_t { none, silu, gelu_tanh };

// Root mean square norm (Zhang and Sennrich 2019): x / sqrt(mean(x^2) + eps) * weight.
struct Norm {
  bool present = false;
  float eps = 0;
  const float* weight = nullptr;  // may be null
};

struct Stage {
  Norm before;
  std::vector<PackedMatrix> matrices;  // of one width; their products stand side by side
  Gate gate = Gate::none;
  Norm after;
  const float* add = nullptr;  // rows as wide as the stage's value
  int add_value = -1;          // or the value of an earlier stage; 0 is the chain's input, n what stage n gave
  bool int8 = false;

  int64_t product_width() const;  // of all matrices
  int64_t width() const { return gate == Gate::none ? product_width() : product_width() / 2; }
};

// x: `rows` rows of the first stage's width, without gaps. `results`: for each stage where its value goes (rows without
// gaps), or null for a value that is only used on the way.
void run_chain(const float* x, int64_t rows, const std::vector<Stage>& stages, const std::vector<float*>& results);

// `rows` rows of `width` floats, normalized; `to` may be `x`.
void norm_rows(const float* x, int64_t rows, int64_t width, const Norm& norm, float* to);

}  // namespace tensorlogic
