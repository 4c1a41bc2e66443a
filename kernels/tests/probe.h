// What an instruction set's headers define, through plain pointers: the parts that the table of core/isa.h is made of.
#pragma once

#include <cstdint>
#include <string_view>

namespace tensorlogic::tests {

// Vectors are `width` floats.
struct Probe {
  const char* name;
  int width;

  // The first `n` items, and `width` items of what that made.
  void (*load_part)(const float* from, int n, float* to);
  // The first `n` of `width` items.
  void (*store_part)(const float* from, int n, float* to);
  void (*largest)(const float* a, float* to);
  void (*sum)(const float* a, float* to);
  void (*absolute)(const float* a, float* to);
  void (*rounded)(const float* a, float* to);
  void (*power_of_two)(const float* a, float* to);
  void (*exponential)(const float* a, float* to);
  void (*max)(const float* a, const float* b, float* to);
  void (*min)(const float* a, const float* b, float* to);
  void (*add)(const float* a, const float* b, float* to);
  void (*subtract)(const float* a, const float* b, float* to);
  void (*multiply)(const float* a, const float* b, float* to);
  void (*divide)(const float* a, const float* b, float* to);
  void (*fma)(const float* a, const float* b, const float* c, float* to);

  // Of 32 codes of `bits` at `p`: `table` with 4 bits only.
  bool signed_bytes;
  void (*float_codes)(int bits, bool table, const uint8_t* p, float* to);
  float (*integer_dot)(int bits, bool table, const uint8_t* p, const int8_t* x);
};

// That of a set which this processor runs.
const Probe& probe(std::string_view name);

}  // namespace tensorlogic::tests
