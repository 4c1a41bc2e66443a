// Lists of strings as GGUF files have them: each a length of eight bytes, lowest first, and its bytes.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "primitives/kernel.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tensorlogic {
namespace {

constexpr int64_t kLength = 8;

// A length that no data has becomes one that surely ends behind them.
int64_t length_at(const char* data, int64_t place) {
  uint64_t length;
  std::memcpy(&length, data + place, kLength);
  return static_cast<int64_t>(std::min<uint64_t>(length, std::numeric_limits<int64_t>::max() / 4));
}

std::pair<int64_t, int64_t> skip_strings(const nb::bytes& data, int64_t place, int64_t count) {
  require(place >= 0, "tensorlogic_cpu.skip_strings", "a place is not negative");
  const auto size = static_cast<int64_t>(data.size());
  for (; count > 0 && place <= size - kLength; --count) place += kLength + length_at(data.c_str(), place);
  return {place, count};
}

nb::list strings(const nb::bytes& data, int64_t count) {
  const auto size = static_cast<int64_t>(data.size());
  nb::list found;
  for (int64_t place = 0; count > 0; --count) {
    const int64_t length = place <= size - kLength ? length_at(data.c_str(), place) : size;
    require(length <= size - place - kLength, "tensorlogic_cpu.strings", "the data end within a string");
    PyObject* text = PyUnicode_DecodeUTF8(data.c_str() + place + kLength, length, nullptr);
    if (!text) throw nb::python_error();
    found.append(nb::steal(text));
    place += kLength + length;
  }
  return found;
}

}  // namespace

void bind_strings(nb::module_& m) {
  m.def("skip_strings", &skip_strings, "data"_a, "place"_a, "count"_a);
  m.def("strings", &strings, "data"_a, "count"_a);
}

}  // namespace tensorlogic
