// Words into tokens.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/bpe.h"
#include "primitives/kernel.h"
#include "python/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace tensorlogic {
namespace {

Bpe::Strings strings(const nb::bytes& data, int64_t count) { return {{data.c_str(), data.size()}, count}; }

std::unique_ptr<Bpe> new_bpe(const nb::bytes& tokens, int64_t token_count, const nb::bytes& merges, int64_t merge_count,
                             const std::vector<int64_t>& apart, bool whole_words, bool byte_fallback) {
  std::optional<Bpe> made;
  {
    nb::gil_scoped_release unlocked;
    made = Bpe::made(strings(tokens, token_count), strings(merges, merge_count), apart, {whole_words, byte_fallback});
  }
  require(made.has_value(), "tensorlogic_cpu.Bpe",
          "tokens differ, merges join two of them to a third, and those apart are among them");
  return std::make_unique<Bpe>(std::move(*made));
}

std::vector<uint32_t> encode(const Bpe& bpe, const std::vector<std::string>& words) {
  nb::gil_scoped_release unlocked;
  return bpe.encode(words);
}

}  // namespace

void bind_bpe(nb::module_& m) {
  nb::class_<Bpe>(m, "Bpe")
      .def(nb::new_(&new_bpe), "tokens"_a, "token_count"_a, "merges"_a, "merge_count"_a, "apart"_a, "whole_words"_a,
           "byte_fallback"_a)
      .def("encode", &encode, "words"_a);
}

}  // namespace tensorlogic
