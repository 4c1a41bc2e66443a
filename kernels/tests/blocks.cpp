// Blocks of GGUF, code by code.
#include <stdio.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <random>
#include <vector>

#include "check.h"
#include "core/block_reader.h"
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

void test_reader() {
  std::mt19937_64 random(6);
  BlockType type = *block_type("Q4_1");
  constexpr int64_t kCount = 30'001;  // several pieces
  std::vector<uint8_t> blocks(kCount * type.bytes());
  for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(random() & 0x3b);
  FILE* file = tmpfile();
  expect(file && fwrite(blocks.data(), 1, blocks.size(), file) == blocks.size() && !fflush(file),
         "a file for the tests is %s", "written");
  if (!file) return;
  std::vector<uint32_t> words(kCount * type.words()), all_words(words.size());
  std::vector<uint16_t> scales(kCount), biases(kCount), all_scales(kCount), all_biases(kCount);
  float expected = rearrange(type, blocks.data(), kCount, all_words.data(), all_scales.data(), all_biases.data());
  for (int threads : {0, 1, 3}) {
    testing("a reader of %d threads", threads);
    BlockReader reader(threads);
    std::vector<std::future<float>> parts;
    constexpr int64_t kStep = 7'001;
    for (int64_t begin = 0; begin < kCount; begin += kStep) {
      parts.push_back(reader.read({fileno(file), type, begin * type.bytes(), std::min(kStep, kCount - begin),
                                   words.data() + begin * type.words(), scales.data() + begin, biases.data() + begin}));
    }
    while (reader.help()) {
    }
    float largest = 0;
    for (auto& part : parts) largest = std::max(largest, part.get());
    expect(largest == expected, "the largest is %a", largest);
    expect(words == all_words && scales == all_scales && biases == all_biases, "what is read is %s", "the same");
    auto beyond = reader.read({fileno(file), type, type.bytes(), kCount, words.data(), scales.data(), biases.data()});
    while (reader.help()) {
    }
    expect(std::isnan(beyond.get()), "the end of the file is %s", "told");
    auto dropped = reader.read({fileno(file), type, 0, kCount, words.data(), scales.data(), biases.data()});
    reader.close();
    const float found = dropped.get();
    expect(std::isnan(found) || (threads > 0 && found == expected), "what is dropped has no number, and not %a", found);
  }
  fclose(file);
}

}  // namespace

void test_blocks() {
  test_reader();
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
