// The extension module `tensorlogic_cpu._kernels`. Its Python side, with types and documentation, is _kernels.pyi.
#include <nanobind/stl/string.h>

#include <string>

#include "mlx/version.h"
#include "python/bindings.h"

NB_MODULE(_kernels, m) {
  // Registers mx.array, the type that crosses the border.
  nanobind::module_::import_("mlx.core");
  auto number = [](int n) { return std::to_string(n); };
  m.attr("MLX_VERSION") =
      number(MLX_VERSION_MAJOR) + "." + number(MLX_VERSION_MINOR) + "." + number(MLX_VERSION_PATCH);
  tensorlogic::bind_machine(m);
  tensorlogic::bind_packed(m);
  tensorlogic::bind_rows(m);
  tensorlogic::bind_attention(m);
  tensorlogic::bind_dense(m);
  tensorlogic::bind_blocks(m);
  tensorlogic::bind_strings(m);
  tensorlogic::bind_bpe(m);
}
