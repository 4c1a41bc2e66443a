#include "layouts.h"
#include "probe.h"
#include "tests.h"

namespace tensorlogic::tests {

// 32 codes at every place that they can begin at within a word, up against memory that may not be read.
void test_codes(std::string_view set) {
  const Probe& p = probe(set);
  Random random(2);
  for (const Layout& layout : kLayouts) {
    for (int round = 0; round < 200; ++round) {
      const int tail = round % 8;
      testing("%s codes of %d bits%s, %d bytes before the end", p.name, layout.bits, layout.table ? " (E2M1)" : "",
              tail);
      Guarded<uint8_t> codes(4 * layout.bits, tail);
      Guarded<float> floats(32);
      Guarded<int8_t> x(32, random.integer(0, 3));
      for (int i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(round == 0 ? 0xff : random.bits());
      for (int i = 0; i < 32; ++i) {
        // All of one sign, too: the largest sums.
        x[i] = static_cast<int8_t>(round < 2 ? 127 : round < 4 ? -127 : random.integer(-127, 127));
      }
      p.float_codes(layout.bits, layout.table, codes, floats);
      int64_t total = 0;
      for (int i = 0; i < 32; ++i) {
        int code = code_at(codes, layout.bits, i);
        float wanted = layout.table ? e2m1(code) : static_cast<float>(code);
        expect(same(floats[i], wanted), "code %d: %a, not %a", i, floats[i], wanted);
        int counted = layout.table ? static_cast<int>(2 * e2m1(code)) + 12 : code;
        if (p.signed_bytes && layout.bits == 8) counted -= 128;
        total += counted * x[i];
      }
      float got = p.integer_dot(layout.bits, layout.table, codes, x);
      expect(got == static_cast<float>(total), "products sum to %a, not %lld", got, static_cast<long long>(total));
    }
  }
}

}  // namespace tensorlogic::tests
