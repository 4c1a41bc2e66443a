#include <cmath>

#include "check.h"
#include "core/isa.h"
#include "tests.h"

namespace tensorlogic::tests {
namespace {

const char* name_of(Element e) { return e == Element::f16 ? "float16" : "bfloat16"; }

void widen_all(const Kernels& k, Element e) {
  testing("%s widen of all %s", k.name, name_of(e));
  Guarded<uint16_t> from(65536);
  Guarded<float> to(65536);
  for (int i = 0; i < 65536; ++i) from[i] = static_cast<uint16_t>(i);
  k.widen(from, e, to, 65536);
  for (int i = 0; i < 65536; ++i) {
    auto wanted = static_cast<float>(value_of(static_cast<uint16_t>(i), e));
    bool right = same(to[i], wanted) && (!std::isnan(wanted) || std::signbit(to[i]) == (i >= 0x8000));
    expect(right, "0x%04x: %a, not %a", i, to[i], wanted);
  }
}

void narrow_some(const Kernels& k, Element e, const std::vector<float>& items) {
  Guarded<float> from(items);
  Guarded<uint16_t> to(from.size());
  k.narrow(from, to, e, from.size());
  for (int64_t i = 0; i < from.size(); ++i) {
    uint16_t wanted = nearest(from[i], e);
    bool nan = std::isnan(from[i]) && std::isnan(value_of(to[i], e)) && (to[i] & 0x8000) == (wanted & 0x8000);
    expect(nan || to[i] == wanted, "%a: 0x%04x, not 0x%04x", from[i], to[i], wanted);
  }
}

// Each value, the middle between it and the next, and the floats beside the middle.
void narrow_all(const Kernels& k, Element e) {
  testing("%s narrow to all %s", k.name, name_of(e));
  std::vector<float> items;
  for (int i = 0; i < 65536; ++i) {
    auto bits = static_cast<uint16_t>(i);
    auto x = static_cast<float>(value_of(bits, e));
    items.push_back(x);
    if (!std::isfinite(x)) continue;
    // The one after the last would be 2^16 or 2^128.
    double next = value_of(static_cast<uint16_t>(bits + 1), e);
    if (std::isinf(next)) next = std::copysign(std::ldexp(1.0, e == Element::f16 ? 16 : 128), x);
    auto middle = static_cast<float>((x + next) / 2);
    items.insert(items.end(), {middle, std::nextafter(middle, INFINITY), std::nextafter(middle, -INFINITY)});
  }
  narrow_some(k, e, items);
}

void narrow_sweep(const Kernels& k, Element e) {
  testing("%s narrow of floats to %s", k.name, name_of(e));
  std::vector<float> items;
  for (int64_t bits = 0; bits < int64_t{1} << 32; bits += sweep_stride) {
    items.push_back(from_bits(static_cast<uint32_t>(bits)));
    if (items.size() == 1 << 16) {
      narrow_some(k, e, items);
      items.clear();
    }
  }
  for (uint32_t bits : {0x7f800001u, 0x7fffffffu, 0xff800001u, 0xffc00000u, 0x7f801fffu, 0x7f80ffffu}) {
    items.push_back(from_bits(bits));
  }
  narrow_some(k, e, items);
}

// Every length around some vectors, at the end of memory.
void lengths(const Kernels& k, Element e, Random& random) {
  for (int n = 0; n <= 50; ++n) {
    testing("%s casts of %d items of %d bytes", k.name, n, size_of(e));
    const std::vector<float> items = random.normals(n);
    Guarded<float> from(items), back(n);
    Guarded<uint8_t> small(n * size_of(e));
    k.narrow(from, small.data(), e, n);
    k.widen(small.data(), e, back, n);
    for (int i = 0; i < n; ++i) {
      float wanted = e == Element::f32 ? from[i] : static_cast<float>(value_of(nearest(from[i], e), e));
      expect(same(back[i], wanted), "item %d: %a, not %a", i, back[i], wanted);
    }
  }
}

}  // namespace

void test_casts(std::string_view) {
  const Kernels& k = kernels();
  Random random(3);
  for (Element e : {Element::f16, Element::bf16}) {
    widen_all(k, e);
    narrow_all(k, e);
    narrow_sweep(k, e);
  }
  for (Element e : {Element::f32, Element::f16, Element::bf16}) lengths(k, e, random);
}

}  // namespace tensorlogic::tests
