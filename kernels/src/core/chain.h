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
#include "core/rows.h"

namespace tensorlogic {

struct Stage {
  Norm before;
  std::vector<PackedMatrix> matrices;  // of one width; their products stand side by side
  Gate gate = Gate::none;  // the first half of the product's columns, activated, times the second half
  Norm after;
  const float* add = nullptr;  // rows as wide as the stage's value
  int add_value = -1;          // or the value of an earlier stage; 0 is the chain's input, n what stage n gave
  Activations kept = Activations::float32;  // how exactly the rows that meet packed matrices are kept

  int64_t product_width() const;  // of all matrices
  int64_t width() const { return gate == Gate::none ? product_width() : product_width() / 2; }
};

// x: `rows` rows of the first stage's width, without gaps. `results`: for each stage where its value goes (rows without
// gaps), or null for a value that is only used on the way.
void run_chain(const float* x, int64_t rows, const std::vector<Stage>& stages, const std::vector<float*>& results);

}  // namespace tensorlogic
