// One instruction set's source as it is, then its headers' functions as a `Probe`. Compiled with the set's flags.
#include TENSORLOGIC_SET_SOURCE

#include "probe.h"

namespace tensorlogic::TENSORLOGIC_SET {
namespace {

template <class F>
inline void unary(const float* a, float* to, F f) {
  f(Floats::load(a)).store(to);
}

template <class F>
inline void binary(const float* a, const float* b, float* to, F f) {
  f(Floats::load(a), Floats::load(b)).store(to);
}

template <int bits, bool table>
void all_float_codes(const uint8_t* p, float* to) {
  constexpr int width = Floats::width;
  float_codes<bits, table, 0>(p).store(to);
  float_codes<bits, table, 1>(p).store(to + width);
  if constexpr (width == 8) {
    float_codes<bits, table, 2>(p).store(to + 2 * width);
    float_codes<bits, table, 3>(p).store(to + 3 * width);
  }
}

template <int bits, bool table>
void one_integer_dot(const uint8_t* p, const int8_t* x, float* to) {
  *to = integer_dot<bits, table>(p, x).sum();
}

PackedMatrix layout(int bits, bool table) {
  PackedMatrix w{};
  w.bits = bits;
  w.packing = table ? Packing::mxfp4 : Packing::affine;
  return w;
}

}  // namespace
}  // namespace tensorlogic::TENSORLOGIC_SET

namespace tensorlogic::tests::probes {

using namespace tensorlogic::TENSORLOGIC_SET;

extern const Probe TENSORLOGIC_SET;
const Probe TENSORLOGIC_SET = {
    .name = TENSORLOGIC_NAME(TENSORLOGIC_SET),
    .width = Floats::width,
    .load_part = [](const float* from, int n, float* to) { Floats::load(from, n).store(to); },
    .store_part = [](const float* from, int n, float* to) { Floats::load(from).store(to, n); },
    .largest = [](const float* a, float* to) { *to = Floats::load(a).largest(); },
    .sum = [](const float* a, float* to) { *to = Floats::load(a).sum(); },
    .absolute = [](const float* a, float* to) { unary(a, to, [](Floats x) { return absolute(x); }); },
    .rounded = [](const float* a, float* to) { unary(a, to, [](Floats x) { return x.rounded(); }); },
    .power_of_two = [](const float* a, float* to) { unary(a, to, [](Floats x) { return x.power_of_two(); }); },
    .exponential = [](const float* a, float* to) { unary(a, to, [](Floats x) { return exponential(x); }); },
    .max = [](const float* a, const float* b, float* to) {
      binary(a, b, to, [](Floats x, Floats y) { return max(x, y); });
    },
    .min = [](const float* a, const float* b, float* to) {
      binary(a, b, to, [](Floats x, Floats y) { return min(x, y); });
    },
    .add = [](const float* a, const float* b, float* to) {
      binary(a, b, to, [](Floats x, Floats y) { return x + y; });
    },
    .subtract = [](const float* a, const float* b, float* to) {
      binary(a, b, to, [](Floats x, Floats y) { return x - y; });
    },
    .multiply = [](const float* a, const float* b, float* to) {
      binary(a, b, to, [](Floats x, Floats y) { return x * y; });
    },
    .divide = [](const float* a, const float* b, float* to) {
      binary(a, b, to, [](Floats x, Floats y) { return x / y; });
    },
    .fma = [](const float* a, const float* b, const float* c, float* to) {
      fma(Floats::load(a), Floats::load(b), Floats::load(c)).store(to);
    },
    .signed_bytes = kSignedBytes,
    .float_codes = [](int bits, bool table, const uint8_t* p, float* to) {
      PackedMatrix w = layout(bits, table);
      TENSORLOGIC_BY_LAYOUT(w, all_float_codes, p, to);
    },
    .integer_dot = [](int bits, bool table, const uint8_t* p, const int8_t* x) {
      PackedMatrix w = layout(bits, table);
      float total = 0;
      TENSORLOGIC_BY_LAYOUT(w, one_integer_dot, p, x, &total);
      return total;
    },
};

}  // namespace tensorlogic::tests::probes
