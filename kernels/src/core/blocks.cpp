#include "core/blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace tensorlogic {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint64_t every(uint8_t byte) { return byte * 0x0101010101010101u; }

template <class T>
T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// The lowest four bits of each byte, side by side in 32.
uint32_t join_fours(uint64_t x) {
  x &= every(0x0f);
  x = (x | x >> 4) & 0x00ff00ff00ff00ffu;
  x = (x | x >> 8) & 0x0000ffff0000ffffu;
  return static_cast<uint32_t>(x | x >> 16);
}

// The lowest five bits of each byte, side by side in 40.
uint64_t join_fives(uint64_t x) {
  x = (x & 0x001f001f001f001fu) | (x >> 3 & 0x03e003e003e003e0u);
  x = (x & 0x000003ff000003ffu) | (x >> 6 & 0x000ffc00000ffc00u);
  return (x & 0xfffffu) | (x >> 12 & 0xfffff00000u);
}

// The bits of a byte as the fifth bits of eight others.
constexpr std::array<uint64_t, 256> kFifths = [] {
  std::array<uint64_t, 256> found{};
  for (uint64_t byte = 0; byte < 256; ++byte)
    for (int i = 0; i < 8; ++i) found[byte] |= (byte >> i & 1) << (8 * i + 4);
  return found;
}();

constexpr uint16_t kInfinity = 0x7c00;

bool is_finite(uint16_t half) { return (half & kInfinity) != kInfinity; }

// Of a finite float16: its bits are those of a float32 whose exponent counts from elsewhere.
float to_float(uint16_t half) {
  float found = std::bit_cast<float>((half & 0x7fffu) << 13) * 0x1p112f;
  return half & 0x8000 ? -found : found;
}

// Of a number that float16 has, or one beyond its range, which is infinity.
uint16_t to_half(float x) {
  auto sign = static_cast<uint16_t>(std::signbit(x) ? 0x8000 : 0);
  if (std::fabs(x) >= 65536.0f) return sign | kInfinity;
  return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(std::fabs(x) * 0x1p-112f) >> 13);
}

template <int bits>
void codes(const uint8_t* from, uint32_t* words) {
  if constexpr (bits == 4) {
    auto low = load<uint64_t>(from), high = load<uint64_t>(from + 8);
    words[0] = join_fours(low);
    words[1] = join_fours(high);
    words[2] = join_fours(low >> 4);
    words[3] = join_fours(high >> 4);
  } else if constexpr (bits == 5) {
    auto low = load<uint64_t>(from + 4), high = load<uint64_t>(from + 12);
    auto to = reinterpret_cast<uint8_t*>(words);
    const uint64_t fours[] = {low, high, low >> 4, high >> 4};
    for (int i = 0; i < 4; ++i) {
      uint64_t joined = join_fives((fours[i] & every(0x0f)) | kFifths[from[i]]);
      std::memcpy(to + 5 * i, &joined, 5);
    }
  } else {
    // Signed ones, of which MLX's are 128 above.
    for (int i = 0; i < 4; ++i) {
      uint64_t eight = load<uint64_t>(from + 8 * i) ^ every(0x80);
      std::memcpy(words + 2 * i, &eight, 8);
    }
  }
}

template <int bits>
float rearrange(const BlockType& type, const uint8_t* blocks, int64_t count, uint32_t* words, uint16_t* scales,
                uint16_t* biases) {
  float largest = 0;
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* block = blocks + i * type.bytes();
    auto scale = load<uint16_t>(block);
    codes<bits>(block + (type.has_minimum ? 4 : 2), words + i * type.words());
    scales[i] = scale;
    auto minimum = type.has_minimum ? load<uint16_t>(block + 2) : uint16_t{0};
    finite &= is_finite(scale) && is_finite(minimum);
    float step = to_float(scale);
    float bias = type.has_minimum ? to_float(minimum) : step * static_cast<float>(type.factor);
    biases[i] = type.has_minimum ? minimum : to_half(bias);
    largest = std::max({largest, std::fabs(bias), std::fabs(step * ((1 << bits) - 1) + bias)});
  }
  return finite ? largest : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

std::optional<BlockType> block_type(std::string_view name) {
  if (name == "Q4_0") return BlockType{4, false, -8};
  if (name == "Q4_1") return BlockType{4, true, 0};
  if (name == "Q5_0") return BlockType{5, false, -16};
  if (name == "Q5_1") return BlockType{5, true, 0};
  if (name == "Q8_0") return BlockType{8, false, -128};
  return std::nullopt;
}

float rearrange(const BlockType& type, const uint8_t* blocks, int64_t count, uint32_t* words, uint16_t* scales,
                uint16_t* biases) {
  switch (type.bits) {
    case 4:
      return rearrange<4>(type, blocks, count, words, scales, biases);
    case 5:
      return rearrange<5>(type, blocks, count, words, scales, biases);
    default:
      return rearrange<8>(type, blocks, count, words, scales, biases);
  }
}

}  // namespace tensorlogic
