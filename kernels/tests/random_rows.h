// Rows of floats made at random.
#pragma once

#include "check.h"

namespace tensorlogic::tests {

inline constexpr Element kTypes[] = {Element::f32, Element::f16, Element::bf16};

// Rows `width + gap` items apart, that end where memory may be read to.
struct RandomRows {
  RandomRows(Random& random, Element of, int64_t rows, int64_t width, int64_t gap)
      : type(of), stride(width + gap), memory(rows ? ((rows - 1) * stride + width) * size_of(of) : 0) {
    for (int64_t i = 0; i < items(); ++i) {
      const float x = random.normal();
      if (type == Element::f32) {
        std::memcpy(memory + 4 * i, &x, 4);
      } else {
        const uint16_t bits = nearest(x, type);
        std::memcpy(memory + 2 * i, &bits, 2);
      }
    }
  }

  int64_t items() const { return memory.size() / size_of(type); }
  // Of a float32 matrix.
  const float* floats() const { return reinterpret_cast<const float*>(memory.data()); }
  double item(int64_t row, int64_t column) const {
    const int64_t at = row * stride + column;
    if (type == Element::f32) return floats()[at];
    uint16_t bits;
    std::memcpy(&bits, memory + 2 * at, 2);
    return value_of(bits, type);
  }

  Element type;
  int64_t stride;
  Guarded<uint8_t> memory;
};

}  // namespace tensorlogic::tests
