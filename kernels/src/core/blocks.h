// Blocks of GGUF's oldest types (ggml's `block_q4_0` and its kin: 32 weights, scales in float16), rearranged into MLX's
// affine layout of groups of 32 without changing a value. Plain loops over bytes, the same on every processor that has
// the lowest byte first.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tensorlogic {

struct BlockType {
  int bits;
  bool has_minimum;  // a float16 of its own is the bias; else the bias is the scale times `factor`
  int factor;

  int bytes() const { return 2 + (has_minimum ? 2 : 0) + (bits == 5 ? 4 : 0) + (bits == 8 ? 32 : 16); }
  int words() const { return bits; }
};

// By ggml's name: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
std::optional<BlockType> block_type(std::string_view name);

// Words, scales and biases (float16) of `count` blocks. Returns a magnitude that no weight is above, computed in float32
// also where a bias is too large for float16; NaN where a scale or a minimum is no finite number.
float rearrange(const BlockType& type, const uint8_t* blocks, int64_t count, uint32_t* words, uint16_t* scales,
                uint16_t* biases);

}  // namespace tensorlogic
