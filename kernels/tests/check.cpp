#include "check.h"

#include <signal.h>

#include <cmath>

namespace tensorlogic::tests {

int64_t checks = 0, failures = 0;

namespace {

constexpr int64_t kMostMessages = 30;
char where[512] = "nothing yet";

void crash(int signal) {
  char message[640];
  int n = std::snprintf(message, sizeof message, "CRASH (signal %d): %s\n", signal, where);
  if (write(2, message, static_cast<size_t>(n)) < 0) _exit(3);
  _exit(2);
}

int exponent_bits(Element e) { return e == Element::f16 ? 5 : 8; }
int fraction_bits(Element e) { return e == Element::f16 ? 10 : 7; }
int bias(Element e) { return (1 << (exponent_bits(e) - 1)) - 1; }

}  // namespace

void testing(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(where, sizeof where, format, arguments);
  va_end(arguments);
}

void expect(bool right, const char* format, ...) {
  ++checks;
  if (right) return;
  if (++failures > kMostMessages) return;
  std::fprintf(stderr, "FAILED: %s: ", where);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
}

void report_crashes() {
  for (int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) signal(number, crash);
}

bool close(double got, double wanted, double bound) {
  if (std::isnan(wanted)) return std::isnan(got);
  if (std::isinf(wanted)) return got == wanted;
  return std::fabs(got - wanted) <= bound;
}

bool same(float a, float b) { return to_bits(a) == to_bits(b) || (std::isnan(a) && std::isnan(b)); }

float from_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

uint32_t to_bits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

double value_of(uint16_t bits, Element e) {
  const int digits = fraction_bits(e), most = (1 << exponent_bits(e)) - 1;
  int exponent = (bits >> digits) & most, fraction = bits & ((1 << digits) - 1);
  double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == most) return fraction ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias(e) - digits);
  return sign * std::ldexp(fraction + (1 << digits), exponent - bias(e) - digits);
}

uint16_t nearest(double x, Element e) {
  const int digits = fraction_bits(e);
  uint32_t infinity = ((1u << exponent_bits(e)) - 1) << digits, sign = std::signbit(x) ? 0x8000 : 0;
  if (std::isnan(x)) return static_cast<uint16_t>(sign | infinity | 1);
  double size = std::fabs(x);
  if (size == 0) return static_cast<uint16_t>(sign);
  if (std::isinf(x)) return static_cast<uint16_t>(sign | infinity);
  int exponent = std::max(std::ilogb(size), 1 - bias(e));
  // In units of the last digit: to the nearest, ties to even. Counting on from the exponent's least value carries.
  auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, digits - exponent)));
  uint32_t bits = (static_cast<uint32_t>(exponent + bias(e) - 1) << digits) + units;
  return static_cast<uint16_t>(sign | std::min(bits, infinity));
}

}  // namespace tensorlogic::tests
