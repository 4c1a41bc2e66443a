#include "core/chain.h"

#include <memory>

#include "core/packed.h"
#include "core/scratch.h"

namespace tensorlogic {

int64_t Stage::product_width() const {
  int64_t total = 0;
  for (const PackedMatrix& w : matrices) total += w.rows;
  return total;
}

void run_chain(const float* x, int64_t rows, const std::vector<Stage>& stages, const std::vector<float*>& results) {
  thread_local Scratch normed_memory, product_memory;
  // A value that is no result lives until the chain ends: a later stage may add it.
  std::vector<std::unique_ptr<Scratch>> kept;
  std::vector<const float*> values{x};
  for (size_t i = 0; i < stages.size(); ++i) {
    const Stage& stage = stages[i];
    const Kernels& k = kernels();
    const int64_t in = stage.matrices[0].width, out = stage.width(), wide = stage.product_width();
    const float* from = values.back();
    if (stage.before.present) {
      float* normed = normed_memory.get<float>(rows * in);
      norm_rows(from, rows, in, stage.before, normed);
      from = normed;
    }
    float* value = results[i];
    if (!value) value = kept.emplace_back(std::make_unique<Scratch>())->get<float>(rows * out);
    float* product = stage.gate == Gate::none ? value : product_memory.get<float>(rows * wide);
    int64_t column = 0;
    for (const PackedMatrix& w : stage.matrices) {
      packed_matmul(from, in, rows, w, stage.kept, product + column, wide);
      column += w.rows;
    }
    if (stage.gate != Gate::none) {
      auto gated = stage.gate == Gate::silu ? k.silu_times : k.gelu_tanh_times;
      each_row(rows, wide, [&](int64_t r) { gated(product + r * wide, product + r * wide + out, value + r * out, out); });
    }
    if (stage.after.present) norm_rows(value, rows, out, stage.after, value);
    if (const float* added = stage.add_value >= 0 ? values[static_cast<size_t>(stage.add_value)] : stage.add) {
      each_row(rows, out, [&](int64_t r) { k.add(value + r * out, added + r * out, value + r * out, out); });
    }
    values.push_back(value);
  }
}

}  // namespace tensorlogic
