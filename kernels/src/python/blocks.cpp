// Blocks of model files, and room for what becomes of them.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/block_reader.h"
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

// What a reader was asked for, with the room that it fills.
class Reading {
 public:
  Reading(nb::object reader, std::future<float> largest, nb::object room)
      : reader_(std::move(reader)), largest_(std::move(largest)), room_(std::move(room)) {}
  Reading(Reading&&) = default;

  ~Reading() {
    if (!largest_.valid()) return;
    BlockReader& reader = nb::cast<BlockReader&>(reader_);
    while (!is_done_after(0) && reader.help()) {
    }
    largest_.wait();
  }

  // Ctrl-C ends the waiting, not the reading.
  float wait() {
    require(largest_.valid(), "tensorlogic_cpu.Reading.wait", "it was waited for before");
    BlockReader& reader = nb::cast<BlockReader&>(reader_);
    while (!is_done_after(0)) {
      {
        nb::gil_scoped_release unlocked;
        if (!reader.help()) is_done_after(100);
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
    return largest_.get();
  }

 private:
  bool is_done_after(int milliseconds) const {
    return largest_.wait_for(std::chrono::milliseconds(milliseconds)) == std::future_status::ready;
  }

  nb::object reader_;
  std::future<float> largest_;
  nb::object room_;
};

Reading read(nb::handle_t<BlockReader> reader, int file, const std::string& name, int64_t place,
             const Items<uint32_t>& words, const Items<uint16_t>& scales, const Items<uint16_t>& biases) {
  constexpr const char* where = "tensorlogic_cpu.Reader.read";
  auto type = block_type(name);
  require(type.has_value(), where, [&] { return "there are no blocks of the type \"" + name + "\""; });
  const size_t count = scales.size();
  require(words.size() == count * type->words() && biases.size() == count, where,
          "the room is not that of the same number of blocks");
  require(place >= 0, where, "a place is not negative");
  auto result = nb::cast<BlockReader&>(reader).read(
      {file, *type, place, static_cast<int64_t>(count), words.data(), scales.data(), biases.data()});
  return {nb::borrow(reader), std::move(result), nb::make_tuple(words, scales, biases)};
}

std::unique_ptr<BlockReader> new_reader(int threads) {
  require(threads >= 0, "tensorlogic_cpu.Reader", "a number of threads is not negative");
  return std::make_unique<BlockReader>(threads);
}

void close(BlockReader& reader) {
  nb::gil_scoped_release unlocked;
  reader.close();
}

mx::Shape shape_of(const std::vector<int>& sizes, const char* where) {
  require(std::ranges::all_of(sizes, [](int size) { return size >= 0; }), where, "sizes are not negative");
  return {sizes.begin(), sizes.end()};
}

}  // namespace

void bind_blocks(nb::module_& m) {
  nb::class_<Reading>(m, "Reading").def("wait", &Reading::wait);
  nb::class_<BlockReader>(m, "Reader")
      .def(nb::new_(&new_reader), "threads"_a)
      .def("read", &read, "file"_a, "name"_a, "place"_a, "words"_a.noconvert(), "scales"_a.noconvert(),
           "biases"_a.noconvert())
      .def("close", &close);
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
