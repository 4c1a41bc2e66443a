// Packed weights made at random, and what they mean, read bit by bit.
#pragma once

#include <cmath>

#include "check.h"
#include "core/element.h"

namespace tensorlogic::tests {

inline constexpr Activations kAllKept[] = {Activations::float32, Activations::float16, Activations::int8};

inline const char* name_of(Activations kept) {
  return kept == Activations::float32 ? "float32" : kept == Activations::float16 ? "float16" : "int8";
}

struct Layout {
  int bits;
  bool table;  // mxfp4
};

inline constexpr Layout kLayouts[] = {{2, false}, {3, false}, {4, false}, {5, false},
                                      {6, false}, {8, false}, {4, true}};

inline int code_at(const uint8_t* row, int bits, int64_t i) {
  int code = 0;
  for (int b = 0; b < bits; ++b) {
    int64_t at = i * bits + b;
    code |= ((row[at / 8] >> (at % 8)) & 1) << b;
  }
  return code;
}

// A sign, two bits of exponent, one of fraction (OCP Microscaling Formats 1.0, 5.3.3).
inline float e2m1(int code) {
  int exponent = (code >> 1) & 3;
  float fraction = code & 1 ? 0.5f : 0.0f;
  float size = exponent ? std::ldexp(1 + fraction, exponent - 1) : fraction;
  return code & 8 ? -size : size;
}

// Rows that end where memory may be read to. `tail`: that many bytes earlier, so that they begin at any address.
struct RandomMatrix {
  RandomMatrix(Random& random, Layout layout, int group, Element scale_type, int64_t rows, int64_t width, int tail = 0);

  PackedMatrix view();
  double scale(int64_t row, int64_t column) { return factor(scales, row, column); }
  double bias(int64_t row, int64_t column) { return layout.table ? 0 : factor(biases, row, column); }
  // What the code stands for before its scale.
  double code(int64_t row, int64_t column) {
    int c = code_at(codes + row * width * layout.bits / 8, layout.bits, column);
    return layout.table ? static_cast<double>(e2m1(c)) : c;
  }
  // For messages; overwritten by the next.
  const char* name() const;
  double value(int64_t row, int64_t column) { return scale(row, column) * code(row, column) + bias(row, column); }

  Layout layout;
  int group;
  Element scale_type;
  int64_t rows, width;
  Guarded<uint8_t> codes, scales, biases;

 private:
  int64_t factor_bytes() const { return layout.table ? 1 : size_of(scale_type); }
  double factor(Guarded<uint8_t>& from, int64_t row, int64_t column);
};

// y: the products of one row of x with all rows of `w`.
void check_products(const float* x, RandomMatrix& w, Activations kept, const float* y);

}  // namespace tensorlogic::tests
