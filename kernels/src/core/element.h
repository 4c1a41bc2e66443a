// Float types in memory, and a matrix of packed weights as MLX lays it out.
#pragma once

#include <cstdint>
#include <cstring>

namespace tensorlogic {

enum class Element : uint8_t { f32, f16, bf16 };

constexpr int size_of(Element e) { return e == Element::f32 ? 4 : 2; }

// How exactly the left side of a product with packed weights is kept; sums are in float32 or exact.
//   float32: in 24 bits
//   float16: at least as exactly as float16 would keep it, on the average of a block of 32 items
//   int8:    in one byte, a multiple of its block's largest / 127
enum class Activations : uint8_t { float32, float16, int8 };

// How the codes of a group become numbers (`mode` of mlx.core.quantize).
//   affine: scale * code + bias, `bits` of 2, 3, 4, 5, 6 or 8, a float scale and bias for each group
//   mxfp4:  2^(scale - 127) * E2M1[code], 4 bits, groups of 32, a byte for each group (OCP Microscaling Formats 1.0)
//   none:   `codes` are floats of the type `scale_type`, without scales: matrices beside packed ones in a chain
enum class Packing : uint8_t { affine, mxfp4, none };

// Rows of codes: a row's first code in the lowest bits of its first byte, `bits` for each code, no gaps.
struct PackedMatrix {
  const uint8_t* codes;
  const void* scales;  // one for each group of a row
  const void* biases;  // the same for `affine`, else null
  Packing packing;
  Element scale_type;  // of scales and biases under `affine`
  int bits;
  int group;  // 16 (affine, not of 4 bits), 32, 64 or 128
  int64_t rows;
  int64_t width;  // codes in a row, a multiple of `group` and of 32

  int64_t groups() const { return width / group; }
  int64_t row_bytes() const { return width * bits / 8; }
  int64_t scale_bytes() const { return packing == Packing::mxfp4 ? 1 : size_of(scale_type); }
};

}  // namespace tensorlogic
