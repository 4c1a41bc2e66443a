// The parts of the tests, in a file each. All take the name of an instruction set of this machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace tensorlogic::tests {

// Of the 2^32 floats, sweeps take every so many.
extern int64_t sweep_stride;

// vectors.cpp: the operations of `Floats`, against the same on single floats.
void test_vectors(std::string_view set);
// codes.cpp: packed codes as floats and in integer products.
void test_codes(std::string_view set);
// casts.cpp: float16 and bfloat16, all values of each.
void test_casts(std::string_view set);
// rows.cpp: sums, norms, rotations.
void test_rows(std::string_view set);
// activations.cpp: over all of the floats.
void test_activations(std::string_view set);
// packed.cpp: prepare, multiply and expand, over layouts and shapes.
void test_packed(std::string_view set);
// attention.cpp: its loops, and all of it over the set in use.
void test_attention(std::string_view set);
// dense.cpp: few rows with a dense matrix, and products of any sizes over the set in use.
void test_dense(std::string_view set);
// blocks.cpp: blocks of model files, which know no instruction set.
void test_blocks();
// bpe.cpp: words into tokens, which know none either.
void test_bpe();
// core.cpp: src/core over the set in use; products and chains on several threads.
void test_core(std::string_view set);

}  // namespace tensorlogic::tests
