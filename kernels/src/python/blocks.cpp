// Blocks of model files, and room for what becomes of them.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <vector>

#include "core/blocks.h"
#include "primitives/kernel.h"
#include "primitives/room.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tensorlogic {
namespace {

template <class T>
using Items = nb::ndarray<T, nb::numpy, nb::c_contig, nb::device::cpu>;

float rearrange_bytes(const std::string& name, const nb::bytes& blocks, const Items<uint32_t>& words,
                      const Items<uint16_t>& scales, const Items<uint16_t>& biases) {
  constexpr const char* where = "tensorlogic_cpu.rearrange";
  auto type = block_type(name);
  require(type.has_value(), where, "there are no blocks of the type \"" + name + "\"");
  size_t count = blocks.size() / type->bytes();
  require(count * type->bytes() == blocks.size(), where, "the bytes are no whole blocks");
  require(words.size() == count * type->words() && scales.size() == count && biases.size() == count, where,
          "the room is not that of the blocks");
  auto from = reinterpret_cast<const uint8_t*>(blocks.c_str());
  nb::gil_scoped_release unlocked;
  return rearrange(*type, from, static_cast<int64_t>(count), words.data(), scales.data(), biases.data());
}

mx::Shape shape_of(const std::vector<int>& sizes, const char* where) {
  require(std::ranges::all_of(sizes, [](int size) { return size >= 0; }), where, "sizes are not negative");
  return {sizes.begin(), sizes.end()};
}

}  // namespace

void bind_blocks(nb::module_& m) {
  m.def("rearrange", &rearrange_bytes, "name"_a, "blocks"_a, "words"_a.noconvert(),
        "scales"_a.noconvert(), "biases"_a.noconvert());
  nb::class_<Room>(m, "Room")
      .def(nb::init<>())
      .def("empty", [](Room& room, const std::vector<int>& shape, mx::Dtype dtype) {
        return room.empty(shape_of(shape, "tensorlogic_cpu.Room.empty"), dtype);
      }, "shape"_a, "dtype"_a);
  m.def("empty", [](const std::vector<int>& shape, mx::Dtype dtype) {
    return empty(shape_of(shape, "tensorlogic_cpu.empty"), dtype);
  }, "shape"_a, "dtype"_a);
}

}  // namespace tensorlogic
