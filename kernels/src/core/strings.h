// Lists of strings as GGUF files have them: each a length of eight bytes, lowest first, and its bytes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

namespace tensorlogic {

static_assert(std::endian::native == std::endian::little);

inline constexpr int64_t kLengthBytes = 8;

// A length that no data has becomes one that surely ends behind them.
inline int64_t length_at(const char* data, int64_t place) {
  uint64_t length;
  std::memcpy(&length, data + place, kLengthBytes);
  return static_cast<int64_t>(std::min<uint64_t>(length, std::numeric_limits<int64_t>::max() / 4));
}

// The one string at `place`, which the step over it moves on; nothing where the data end within it.
inline std::optional<std::string_view> next_string(std::string_view data, int64_t& place) {
  const auto size = static_cast<int64_t>(data.size());
  const int64_t length = place <= size - kLengthBytes ? length_at(data.data(), place) : size;
  if (length > size - place - kLengthBytes) return std::nullopt;
  const std::string_view found(data.data() + place + kLengthBytes, static_cast<size_t>(length));
  place += kLengthBytes + length;
  return found;
}

}  // namespace tensorlogic
