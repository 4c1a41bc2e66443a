#include "core/isa.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tensorlogic {
namespace {

#if defined(__x86_64__)
// Of which Clang's __builtin_cpu_supports knows nothing.
bool has_f16c() {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}
#endif

std::vector<const Kernels*> available() {
  std::vector<const Kernels*> found;
#if defined(__x86_64__)
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  bool vnni = avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
  if (vnni) found.push_back(&isa_tables::avx512vnni);
  if (avx512) found.push_back(&isa_tables::avx512);
  if (avx2) found.push_back(&isa_tables::avx2);
#elif defined(__aarch64__)
  if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) found.push_back(&isa_tables::neon);
#endif
  found.push_back(&isa_tables::portable);
  return found;
}

const std::vector<const Kernels*>& tables() {
  static const std::vector<const Kernels*> all = available();
  return all;
}

const Kernels* find(std::string_view name) {
  for (const Kernels* table : tables()) {
    if (name == table->name) return table;
  }
  return nullptr;
}

const Kernels* first_choice() {
  if (const char* given = std::getenv("TENSORLOGIC_ISA"); given && *given) {
    if (const Kernels* table = find(given)) return table;
    std::fprintf(stderr, "tensorlogic: this processor has no instruction set \"%s\" of TENSORLOGIC_ISA; using %s\n",
                 given, tables().front()->name);
  }
  return tables().front();
}

std::atomic<const Kernels*>& chosen() {
  static std::atomic<const Kernels*> table{first_choice()};
  return table;
}

}  // namespace

const Kernels& kernels() { return *chosen().load(std::memory_order_relaxed); }

std::vector<std::string_view> instruction_sets() {
  std::vector<std::string_view> names;
  for (const Kernels* table : tables()) names.push_back(table->name);
  return names;
}

bool use(std::string_view name) {
  const Kernels* table = find(name);
  if (table) chosen().store(table);
  return table != nullptr;
}

}  // namespace tensorlogic
