#include "primitives/chain.h"

#include <algorithm>

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace tensorlogic {
namespace {

constexpr const char* kName = "tensorlogic_cpu.Chain";
// Of what a thread keeps for a conversion to float32: 512 rows of 8,192 items.
constexpr size_t kKeptBytes = 16 << 20;

struct Layout {
  int bits, group;
  Packing packing;
  bool operator==(const Layout&) const = default;

  size_t inputs() const { return packing == Packing::affine ? 3 : packing == Packing::mxfp4 ? 2 : 1; }
};

// A stage without its arrays, which are among the node's inputs in the order of `append_weights`.
struct StagePlan {
  std::vector<Layout> matrices;
  std::optional<float> eps_before, eps_after;
  bool weight_before, weight_after;
  Gate gate;
  StageArrays::Add add;
  int add_index;
  Activations kept;
  int width;  // of the stage's value
  bool operator==(const StagePlan&) const = default;
};

void append_weights(const StageArrays& stage, std::vector<mx::array>& weights) {
  if (stage.weight_before) weights.push_back(*stage.weight_before);
  for (const Matrix& m : stage.matrices) {
    weights.push_back(m.weight);
    if (m.scales) weights.push_back(*m.scales);
    if (m.biases) weights.push_back(*m.biases);
  }
  if (stage.weight_after) weights.push_back(*stage.weight_after);
}

}  // namespace

// Inputs of a node: x, the addends, the weights.
struct Chain::Plan {
  std::vector<StagePlan> stages;
  std::vector<int> results;
  std::vector<int> addend_widths;
  int width;  // of x
};

namespace {

// The matrix whose parts stand at `parts`.
PackedMatrix matrix_of(const Layout& layout, const mx::array* parts) {
  const mx::array& weight = parts[0];
  PackedMatrix m{};
  m.packing = layout.packing;
  m.codes = contiguous<uint8_t>(weight, kName);
  m.rows = weight.shape(0);
  m.width = weight.shape(1);
  m.bits = layout.bits;
  m.group = layout.group;
  if (layout.packing == Packing::none) {
    m.scale_type = element_of(weight.dtype());
    return m;
  }
  m.width = m.width * 32 / layout.bits;
  m.scales = contiguous<char>(parts[1], kName);
  if (layout.packing == Packing::affine) {
    m.biases = contiguous<char>(parts[2], kName);
    m.scale_type = element_of(parts[1].dtype());
  }
  return m;
}

mx::array gated(const mx::array& product, Gate gate) {
  auto halves = mx::split(product, 2, -1);
  mx::array g = halves[0];
  if (gate == Gate::silu) return g * mx::sigmoid(g) * halves[1];
  auto u = mx::array(0.7978845608f, g.dtype()) * (g + mx::array(0.044715f, g.dtype()) * g * g * g);
  return mx::array(0.5f, g.dtype()) * g * (mx::array(1.0f, g.dtype()) + mx::tanh(u)) * halves[1];
}

class ChainNode : public Kernel {
 public:
  explicit ChainNode(std::shared_ptr<const Chain::Plan> plan) : plan_(std::move(plan)) {}

  const char* name() const override { return "TensorLogicChain"; }

  bool is_equivalent(const Primitive& other) const override {
    auto node = dynamic_cast<const ChainNode*>(&other);
    return node && (node->plan_ == plan_ || (node->plan_->stages == plan_->stages && node->plan_->results == plan_->results));
  }

  std::vector<mx::Shape> output_shapes(const Arrays& inputs) override {
    std::vector<mx::Shape> shapes;
    for (int result : plan_->results) {
      shapes.push_back(inputs[0].shape());
      shapes.back().back() = stage(result).width;
    }
    return shapes;
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    std::vector<Output> out;
    for (mx::array& output : outputs) {
      allocate(output);
      out.emplace_back(output);
    }
    const int64_t rows = static_cast<int64_t>(inputs[0].size()) / plan_->width;
    const size_t addends = plan_->addend_widths.size();
    std::vector<Stage> stages;
    std::vector<Input> floats(inputs.begin() + 1, inputs.begin() + 1 + static_cast<std::ptrdiff_t>(addends));
    // Where each of `floats` is a weight of a norm: its stage, and whether it stands after the product.
    std::vector<std::pair<size_t, bool>> places(addends);
    size_t at = 1 + addends;
    for (const StagePlan& plan : plan_->stages) {
      Stage stage;
      auto take_weight = [&](bool present, bool after) {
        if (!present) return;
        floats.emplace_back(inputs[at++]);
        places.emplace_back(stages.size(), after);
      };
      stage.before = {plan.eps_before.has_value(), plan.eps_before.value_or(0), nullptr};
      stage.after = {plan.eps_after.has_value(), plan.eps_after.value_or(0), nullptr};
      take_weight(plan.weight_before, false);
      for (const Layout& layout : plan.matrices) {
        stage.matrices.push_back(matrix_of(layout, &inputs[at]));
        at += layout.inputs();
      }
      take_weight(plan.weight_after, true);
      stage.gate = plan.gate;
      stage.add_value = plan.add == StageArrays::Add::value ? plan.add_index : -1;
      stage.kept = plan.kept;
      stages.push_back(std::move(stage));
    }
    dispatch([x = Input(inputs[0]), rows, addends, out = std::move(out), stages = std::move(stages),
              floats = std::move(floats), places = std::move(places), plan = plan_]() mutable {
      if (rows == 0) return;
      thread_local Scratch x_memory;
      thread_local Shelf<Scratch> memory, result_memory;
      std::vector<const float*> given;
      for (size_t i = 0; i < floats.size(); ++i) {
        given.push_back(floats[i].floats(memory[i]));
        if (i < addends) continue;
        Stage& stage = stages[places[i].first];
        (places[i].second ? stage.after : stage.before).weight = given[i];
      }
      for (size_t i = 0; i < stages.size(); ++i) {
        const StagePlan& stage = plan->stages[i];
        if (stage.add == StageArrays::Add::addend) stages[i].add = given[static_cast<size_t>(stage.add_index)];
      }
      std::vector<float*> to(stages.size(), nullptr);
      for (size_t i = 0; i < out.size(); ++i) to[static_cast<size_t>(plan->results[i] - 1)] = out[i].begin(result_memory[i]);
      run_chain(x.floats(x_memory), rows, stages, to);
      for (size_t i = 0; i < out.size(); ++i) out[i].finish(to[static_cast<size_t>(plan->results[i] - 1)]);
      x_memory.keep_at_most(kKeptBytes);
      for (Scratch& each : memory) each.keep_at_most(kKeptBytes);
      for (Scratch& each : result_memory) each.keep_at_most(kKeptBytes);
    });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    Arrays values{inputs[0]};
    const auto type = inputs[0].dtype();
    size_t at = 1 + plan_->addend_widths.size();
    auto norm = [&](const mx::array& value, std::optional<float> eps, bool weighted) {
      if (!eps) return value;
      std::optional<mx::array> weight;
      if (weighted) weight = mx::astype(inputs[at++], type);
      return mx::fast::rms_norm(value, weight, *eps);
    };
    for (const StagePlan& plan : plan_->stages) {
      mx::array value = norm(values.back(), plan.eps_before, plan.weight_before);
      Arrays products;
      for (const Layout& layout : plan.matrices) {
        products.push_back(product(value, layout, inputs, at));
        at += layout.inputs();
      }
      value = products.size() == 1 ? products[0] : mx::concatenate(products, -1);
      if (plan.gate != Gate::none) value = gated(value, plan.gate);
      value = norm(value, plan.eps_after, plan.weight_after);
      auto index = static_cast<size_t>(plan.add_index);
      if (plan.add == StageArrays::Add::addend) value = value + mx::astype(inputs[1 + index], type);
      if (plan.add == StageArrays::Add::value) value = value + values[index];
      values.push_back(value);
    }
    Arrays chosen;
    for (int result : plan_->results) chosen.push_back(values[static_cast<size_t>(result)]);
    return chosen;
  }

 private:
  const StagePlan& stage(int number) const { return plan_->stages[static_cast<size_t>(number - 1)]; }

  static mx::array product(const mx::array& x, const Layout& layout, const Arrays& inputs, size_t at) {
    if (layout.packing == Packing::none) return mx::matmul(x, mx::transpose(mx::astype(inputs[at], x.dtype())));
    if (layout.packing == Packing::mxfp4) {
      return mx::quantized_matmul(x, inputs[at], inputs[at + 1], {}, true, layout.group, layout.bits, "mxfp4");
    }
    if (layout.group == 16) {
      // MLX has no product by these, and turns them into numbers.
      auto wide = [&](size_t i) { return mx::astype(inputs[i], mx::float32); };
      auto elements = mx::dequantize(inputs[at], wide(at + 1), wide(at + 2), 16, layout.bits);
      return mx::matmul(x, mx::transpose(mx::astype(elements, x.dtype())));
    }
    return mx::quantized_matmul(x, inputs[at], mx::astype(inputs[at + 1], x.dtype()),
                                mx::astype(inputs[at + 2], x.dtype()), true, layout.group, layout.bits, "affine");
  }

  std::shared_ptr<const Chain::Plan> plan_;
};

void require_norm(const std::optional<float>& eps, const std::optional<mx::array>& weight, int64_t width) {
  require(eps || !weight, kName, "a norm's weight comes with its eps");
  if (!weight) return;
  require(is_float(weight->dtype()), kName,
          [&] { return "a norm's weight is of floats, not " + text(weight->dtype()); });
  require(weight->ndim() == 1 && weight->shape(0) == width, kName, [&] {
    return "a norm over " + std::to_string(width) + " items has no weight of shape " + text(weight->shape());
  });
}

}  // namespace

namespace {

// As the kernels read it.
mx::array without_gaps(mx::array a) {
  return a.is_available() && a.flags().row_contiguous ? a : mx::contiguous(std::move(a));
}

void require_items(const Matrix& m, const char* name) {
  require(m.rows() > 0 && m.width() > 0, name,
          [&] { return "a matrix has rows and columns, not " + text(m.weight.shape()); });
}

}  // namespace

Matrix::Matrix(mx::array weight_) : weight(without_gaps(std::move(weight_))), bits(0), group(0), packing(Packing::none) {
  require(is_float(weight.dtype()) && weight.ndim() == 2, "tensorlogic_cpu.Matrix.dense",
          [&] { return "weights are floats [O, I], not " + text(weight.dtype()) + " " + text(weight.shape()); });
  require_items(*this, "tensorlogic_cpu.Matrix.dense");
}

Matrix::Matrix(mx::array weight_, mx::array scales_, std::optional<mx::array> biases_, int bits_, int group_,
               const std::string& mode)
    : weight(without_gaps(std::move(weight_))),
      scales(without_gaps(std::move(scales_))),
      biases(std::move(biases_)),
      bits(bits_),
      group(group_),
      packing(mode == "mxfp4" ? Packing::mxfp4 : Packing::affine) {
  constexpr const char* name = "tensorlogic_cpu.Matrix";
  require(mode == "affine" || mode == "mxfp4", name,
          [&] { return "there is no kernel for the mode \"" + mode + "\""; });
  bool affine = packing == Packing::affine;
  require(affine ? bits == 2 || bits == 3 || bits == 4 || bits == 5 || bits == 6 || bits == 8 : bits == 4, name,
          [&] { return "there is no kernel for " + std::to_string(bits) + " bits in the mode " + mode; });
  require(group == 32 || (affine && (group == 64 || group == 128 || (group == 16 && bits != 4))), name,
          [&] { return "there is no kernel for groups of " + std::to_string(group) + " in the mode " + mode; });
  require(weight.dtype() == mx::uint32 && weight.ndim() == 2, name, [&] {
    return "weights are uint32 [O, I * bits / 32], not " + text(weight.dtype()) + " " + text(weight.shape());
  });
  require(affine ? is_float(scales->dtype()) : scales->dtype() == mx::uint8, name,
          [&] { return "scales in the mode " + mode + " are not " + text(scales->dtype()); });
  require(affine == biases.has_value(), name,
          [&] { return affine ? "the mode affine has biases" : "the mode mxfp4 has no biases"; });
  int64_t bits_in_row = static_cast<int64_t>(weight.shape(1)) * 32;
  require(bits_in_row % (static_cast<int64_t>(bits) * std::max(group, 32)) == 0, name,
          [&] { return "rows of " + std::to_string(weight.shape(1)) + " words are not whole groups"; });
  mx::Shape groups{weight.shape(0), static_cast<int>(bits_in_row / bits / group)};
  require(scales->shape() == groups, name,
          [&] { return "scales are " + text(groups) + ", not " + text(scales->shape()); });
  require(!biases || (biases->shape() == groups && biases->dtype() == scales->dtype()), name,
          [&] { return "biases are like scales, not " + (biases ? text(biases->shape()) : ""); });
  require_items(*this, name);
  if (biases) biases = without_gaps(std::move(*biases));
}

Chain::Chain(const std::vector<StageArrays>& stages, std::vector<int> results) {
  require(!stages.empty() && !results.empty(), kName, "there is a stage and a result");
  auto plan = std::make_shared<Plan>();
  plan->width = static_cast<int>(stages[0].matrices.empty() ? 0 : stages[0].matrices[0].width());
  std::vector<int> widths{plan->width};
  for (const StageArrays& stage : stages) {
    const int width = widths.back();
    require_norm(stage.eps_before, stage.weight_before, width);
    require(!stage.matrices.empty(), kName, "a stage has a matrix");
    StagePlan& made = plan->stages.emplace_back(StagePlan{
        {}, stage.eps_before, stage.eps_after, stage.weight_before.has_value(), stage.weight_after.has_value(),
        stage.gate, stage.add, stage.add_index, stage.kept, 0});
    for (const Matrix& m : stage.matrices) {
      require(m.width() == width, kName, [&] {
        return "rows of " + std::to_string(width) + " items do not meet a matrix of rows of " +
               std::to_string(m.width());
      });
      made.matrices.push_back({m.bits, m.group, m.packing});
      made.width += m.weight.shape(0);
    }
    if (stage.gate != Gate::none) {
      require(made.width % 2 == 0, kName, "a gated product has two halves");
      made.width /= 2;
    }
    require_norm(stage.eps_after, stage.weight_after, made.width);
    if (stage.add == StageArrays::Add::value) {
      require(stage.add_index >= 0 && stage.add_index < static_cast<int>(widths.size()) &&
                  widths[static_cast<size_t>(stage.add_index)] == made.width,
              kName,
              [&] { return "there is no earlier value of " + std::to_string(made.width) + " items to be added"; });
    } else if (stage.add == StageArrays::Add::addend) {
      auto index = static_cast<size_t>(stage.add_index);
      require(stage.add_index >= 0 && index <= plan->addend_widths.size(), kName, "addends are counted from 0, in order");
      if (index == plan->addend_widths.size()) plan->addend_widths.push_back(made.width);
      require(plan->addend_widths[index] == made.width, kName, "an addend has one width");
    }
    widths.push_back(made.width);
    append_weights(stage, weights_);
  }
  for (int result : results) {
    require(result >= 1 && result < static_cast<int>(widths.size()), kName, "results are stages, counted from 1");
    require(std::count(results.begin(), results.end(), result) == 1, kName, "a result is asked for once");
  }
  plan->results = std::move(results);
  plan_ = std::move(plan);
}

std::vector<mx::array> Chain::operator()(const mx::array& x, const std::vector<mx::array>& addends) const {
  require(is_float(x.dtype()) && x.ndim() >= 1 && x.shape(-1) == plan_->width, kName, [&] {
    return "x is of floats [..., " + std::to_string(plan_->width) + "], not " + text(x.dtype()) + " " + text(x.shape());
  });
  require(addends.size() == plan_->addend_widths.size(), kName,
          [&] { return "a call takes " + std::to_string(plan_->addend_widths.size()) + " addends"; });
  mx::Shape shape = x.shape();
  std::vector<mx::array> inputs;
  inputs.reserve(1 + addends.size() + weights_.size());
  inputs.push_back(x);
  for (size_t i = 0; i < addends.size(); ++i) {
    shape.back() = plan_->addend_widths[i];
    require(addends[i].shape() == shape && is_float(addends[i].dtype()), kName, [&] {
      return "what is added is of floats " + text(shape) + ", not " + text(addends[i].dtype()) + " " +
             text(addends[i].shape());
    });
    inputs.push_back(addends[i]);
  }
  inputs.insert(inputs.end(), weights_.begin(), weights_.end());
  std::vector<mx::Shape> shapes;
  for (int result : plan_->results) {
    shape.back() = plan_->stages[static_cast<size_t>(result - 1)].width;
    shapes.push_back(shape);
  }
  std::vector<mx::Dtype> types(shapes.size(), x.dtype());
  return mx::array::make_arrays(std::move(shapes), types, std::make_shared<ChainNode>(plan_), std::move(inputs));
}

}  // namespace tensorlogic
