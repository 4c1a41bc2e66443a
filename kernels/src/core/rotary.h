// Rotary position embedding (Su et al. 2021): pairs of items of a row turned by an angle that grows with its position.
//
// Takes: rows at positions offset, offset + 1, ..., offset + length - 1, over and over. Promises what core/rows.h does.
// Angles are float64 until they are reduced to an eighth of a turn: sines and cosines are right to 1.5e-7, an item of a
// pair (a, b) to 2.5e-7 (|a| + |b|), wherever position * scale is below 2^24.
#pragma once

#include "core/rows.h"

namespace tensorlogic {

struct Rotary {
  int64_t dims;       // the first items of a row that turn; even, at most its width
  bool traditional;   // pairs are neighbours (0, 1), (2, 3), ...; else items half of `dims` apart
  float base;         // pair i turns by base^(-2 i / dims) radians at a position
  const float* freqs; // or, where it is not null, by 1 / freqs[i]
  float scale;        // of positions
  int64_t offset;

  bool operator==(const Rotary&) const = default;
};

// What each of the dims / 2 pairs turns by from one position to the next, in quarters of a turn.
void fill_turns(const Rotary& how, double* turns);

// The count of rows of `x` is a multiple of `length`.
void rotate_rows(const RowView& x, int64_t length, const Rotary& how, const RowsOut& to);

}  // namespace tensorlogic
