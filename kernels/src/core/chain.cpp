#include "core/chain.h"

#include "core/packed.h"
#include "core/scratch.h"

namespace tensorlogic {

int64_t Stage::product_width() const {
  int64_t total = 0;
  for (const PackedMatrix& w : matrices) total += w.rows;
  return total;
}

namespace {

// More rows are taken in parts, so that the values between products stay small, and so does what threads keep for them.
constexpr int64_t kRowsAtOnce = 512;

void run_rows(const float* x, int64_t rows, const std::vector<Stage>& stages, const std::vector<float*>& results) {
  thread_local Scratch normed_memory, product_memory;
  // A value that is no result lives until the chain ends: a later stage may add it.
  thread_local Shelf<Scratch> value_memory;
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
    if (!value) value = value_memory[i].get<float>(rows * out);
    float* product = stage.gate == Gate::none ? value : product_memory.get<float>(rows * wide);
    packed_products(from, in, rows, stage.matrices, stage.kept, product, wide);
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

}  // namespace

void run_chain(const float* x, int64_t rows, const std::vector<Stage>& stages, const std::vector<float*>& results) {
  const int64_t parts = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
  for (int64_t part = 0; part < parts; ++part) {
    // Of even sizes: a few rows left over would be computed as few rows are.
    const int64_t first = rows * part / parts, last = rows * (part + 1) / parts;
    std::vector<Stage> these = stages;
    std::vector<float*> to = results;
    for (size_t i = 0; i < stages.size(); ++i) {
      const int64_t skipped = first * stages[i].width();
      if (these[i].add) these[i].add += skipped;
      if (to[i]) to[i] += skipped;
    }
    run_rows(x + first * stages[0].matrices[0].width, last - first, these, to);
  }
}

}  // namespace tensorlogic
