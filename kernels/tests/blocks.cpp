// Blocks of GGUF, code by code.
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "core/blocks.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

// Code `i` of a block, as ggml's `dequantize_row_*` reads it.
int code(const BlockType& type, const uint8_t* block, int i) {
  const uint8_t* from = block + (type.has_minimum ? 4 : 2);
  if (type.bits == 8) return static_cast<int8_t>(from[i]) + 128;
  int fifth = 0;
  if (type.bits == 5) {
    fifth = from[i / 8] >> i % 8 & 1;
    from += 4;
  }
  return (i < 16 ? from[i] & 15 : from[i - 16] >> 4) | fifth << 4;
}

}  // namespace

void test_blocks() {
  std::mt19937_64 random(5);
  for (const char* name : {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"}) {
    BlockType type = *block_type(name);
    for (int64_t count : {0, 1, 2, 33}) {
      testing("rearrange %s, %lld blocks", name, static_cast<long long>(count));
      // Exactly as large as they are, so that a sanitizer sees what is beyond.
      std::vector<uint8_t> blocks(count * type.bytes());
      for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(random());
      for (int64_t b = 0; b < count; ++b) {
        blocks[b * type.bytes() + 1] &= 0x3b;  // finite, and small enough for a bias
        if (type.has_minimum) blocks[b * type.bytes() + 3] &= 0x3b;
      }
      std::vector<uint32_t> words(count * type.words());
      std::vector<uint16_t> scales(count), biases(count);
      float largest = rearrange(type, blocks.data(), count, words.data(), scales.data(), biases.data());
      expect(std::isfinite(largest), "the largest is %a", largest);
      auto bytes = reinterpret_cast<const uint8_t*>(words.data());
      for (int64_t b = 0; b < count; ++b) {
        const uint8_t* block = blocks.data() + b * type.bytes();
        expect(scales[b] == (block[0] | block[1] << 8), "scale %lld", static_cast<long long>(b));
        for (int i = 0; i < 32; ++i) {
          int found = 0;
          for (int bit = 0; bit < type.bits; ++bit) {
            int64_t at = (b * 32 + i) * type.bits + bit;
            found |= (bytes[at / 8] >> at % 8 & 1) << bit;
          }
          expect(found == code(type, block, i), "code %d of block %lld", i, static_cast<long long>(b));
        }
      }
    }
    uint8_t infinite[36] = {0x00, 0x7c};
    uint32_t words[8];
    uint16_t scale, bias;
    expect(std::isnan(rearrange(type, infinite, 1, words, &scale, &bias)), "an infinite scale is %s", "told");
  }
  expect(!block_type("Q4_K") && !block_type(""), "other types are %s", "none");
}

}  // namespace tensorlogic::tests
