// Lists of strings as GGUF files have them: each a length of eight bytes, lowest first, and its bytes.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "core/strings.h"
#include "primitives/kernel.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tensorlogic {
namespace {

std::pair<int64_t, int64_t> skip_strings(const nb::bytes& data, int64_t place, int64_t count) {
  require(place >= 0, "tensorlogic_cpu.skip_strings", "a place is not negative");
  const auto size = static_cast<int64_t>(data.size());
  for (; count > 0 && place <= size - kLengthBytes; --count) place += kLengthBytes + length_at(data.c_str(), place);
  return {place, count};
}

// Of a letter below U+0800 in two bytes, such as those that vocabularies write bytes with; 0 for any other two.
uint16_t two_bytes(unsigned char first, unsigned char second) {
  return first >= 0xc2 && first < 0xe0 && second >> 6 == 2 ? (first & 0x1f) << 6 | (second & 0x3f) : 0;
}

// A string of Python. Its own decoder takes three times as long for letters beyond ASCII, since it finds out by and by
// how wide they are: short texts of letters of one and two bytes, as vocabularies have them, are decoded here.
PyObject* decoded(std::string_view text) {
  std::array<uint16_t, 64> letters;
  size_t count = 0, at = 0;
  for (; at < text.size() && count < letters.size(); ++at) {
    uint16_t letter = static_cast<unsigned char>(text[at]);
    if (letter >= 0x80) {
      letter = at + 1 < text.size() ? two_bytes(letter, text[at + 1]) : 0;
      if (letter == 0) break;
      ++at;
    }
    letters[count++] = letter;
  }
  if (at < text.size()) return PyUnicode_DecodeUTF8(text.data(), text.size(), nullptr);
  return PyUnicode_FromKindAndData(PyUnicode_2BYTE_KIND, letters.data(), count);
}

nb::list strings(const nb::bytes& data, int64_t count) {
  nb::list found;
  const std::string_view all(data.c_str(), data.size());
  for (int64_t place = 0; count > 0; --count) {
    const auto text = next_string(all, place);
    require(text.has_value(), "tensorlogic_cpu.strings", "the data end within a string");
    PyObject* object = decoded(*text);
    if (!object) throw nb::python_error();
    found.append(nb::steal(object));
  }
  return found;
}

}  // namespace

void bind_strings(nb::module_& m) {
  m.def("skip_strings", &skip_strings, "data"_a, "place"_a, "count"_a);
  m.def("strings", &strings, "data"_a, "count"_a);
}

}  // namespace tensorlogic
