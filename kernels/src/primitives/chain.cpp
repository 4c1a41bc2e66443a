#include "primitives/chain.h"

#include <algorithm>

#include "mlx/fast.h"
#include "mlx/ops.h"

namespace tensorlogic {
namespace {

constexpr const char* kName = "tensorlogic_cpu.chain";

// A stage without its arrays, which are the node's inputs in the order in which `each_input` names them.
struct Layout {
  int bits, group;
  Packing packing;
  bool operator==(const Layout&) const = default;
};

struct Plan {
  std::vector<Layout> matrices;
  std::optional<float> eps_before, eps_after;
  bool weight_before, weight_after, add;
  Gate gate;
  int add_value;
  bool int8;
  bool operator==(const Plan&) const = default;
};

Plan plan_of(const StageArrays& stage) {
  Plan plan{{}, stage.eps_before, stage.eps_after, stage.weight_before.has_value(), stage.weight_after.has_value(),
            stage.add.has_value(), stage.gate, stage.add_value, stage.int8};
  for (const Matrix& m : stage.matrices) plan.matrices.push_back({m.bits, m.group, m.packing});
  return plan;
}

void append_inputs(const StageArrays& stage, std::vector<mx::array>& inputs) {
  if (stage.weight_before) inputs.push_back(*stage.weight_before);
  for (const Matrix& m : stage.matrices) {
    inputs.push_back(m.weight);
    inputs.push_back(m.scales);
    if (m.biases) inputs.push_back(*m.biases);
  }
  if (stage.weight_after) inputs.push_back(*stage.weight_after);
  if (stage.add) inputs.push_back(*stage.add);
}

PackedMatrix packed_of(const Layout& layout, const mx::array& weight, const mx::array& scales,
                       const mx::array* biases) {
  PackedMatrix m;
  m.codes = contiguous<uint8_t>(weight, kName);
  m.scales = contiguous<char>(scales, kName);
  m.biases = biases ? contiguous<char>(*biases, kName) : nullptr;
  m.packing = layout.packing;
  m.scale_type = layout.packing == Packing::affine ? element_of(scales.dtype()) : Element::f32;
  m.bits = layout.bits;
  m.group = layout.group;
  m.rows = weight.shape(0);
  m.width = static_cast<int64_t>(weight.shape(1)) * 32 / layout.bits;
  return m;
}

mx::array gated(const mx::array& product, Gate gate) {
  auto halves = mx::split(product, 2, -1);
  mx::array g = halves[0];
  if (gate == Gate::silu) return g * mx::sigmoid(g) * halves[1];
  auto u = mx::array(0.7978845608f, g.dtype()) * (g + mx::array(0.044715f, g.dtype()) * g * g * g);
  return mx::array(0.5f, g.dtype()) * g * (mx::array(1.0f, g.dtype()) + mx::tanh(u)) * halves[1];
}

class Chain : public Kernel {
 public:
  Chain(std::vector<Plan> plans, std::vector<int> results) : plans_(std::move(plans)), results_(std::move(results)) {}

  const char* name() const override { return "TensorLogicChain"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const Chain*>(&other);
    return same && same->plans_ == plans_ && same->results_ == results_;
  }

  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override {
    std::vector<mx::Shape> shapes;
    for (int result : results_) {
      // The widths come from the weights, which are inputs: the first matrices of each stage in turn.
      size_t at = 1;
      mx::Shape shape = inputs[0].shape();
      for (int stage = 0; stage < result; ++stage) shape.back() = width_of(plans_[stage], inputs, at);
      shapes.push_back(shape);
    }
    return shapes;
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    std::vector<Output> out;
    for (mx::array& output : outputs) {
      allocate(output);
      out.emplace_back(output);
    }
    const mx::array& x = inputs[0];
    const int64_t width = x.shape(-1), rows = width ? static_cast<int64_t>(x.size()) / width : 0;
    std::vector<Stage> stages;
    std::vector<Input> others;  // norm weights and addends, in the order of `places`
    std::vector<std::pair<size_t, int>> places;
    size_t at = 1;
    for (const Plan& plan : plans_) {
      Stage stage;
      size_t index = stages.size();
      auto take = [&](bool present, int place) {
        if (!present) return;
        others.emplace_back(inputs[at++]);
        places.emplace_back(index, place);
      };
      stage.before = {plan.eps_before.has_value(), plan.eps_before.value_or(0), nullptr};
      stage.after = {plan.eps_after.has_value(), plan.eps_after.value_or(0), nullptr};
      take(plan.weight_before, 0);
      for (const Layout& layout : plan.matrices) {
        bool affine = layout.packing == Packing::affine;
        stage.matrices.push_back(packed_of(layout, inputs[at], inputs[at + 1], affine ? &inputs[at + 2] : nullptr));
        at += affine ? 3 : 2;
      }
      take(plan.weight_after, 1);
      take(plan.add, 2);
      stage.gate = plan.gate;
      stage.add_value = plan.add_value;
      stage.int8 = plan.int8;
      stages.push_back(std::move(stage));
    }
    dispatch([x = Input(x), rows, out = std::move(out), stages = std::move(stages), others = std::move(others),
              places = std::move(places), results = results_]() mutable {
      if (rows == 0) return;
      thread_local Scratch x_memory;
      std::vector<Scratch> memory(others.size());
      for (size_t i = 0; i < others.size(); ++i) {
        Stage& stage = stages[places[i].first];
        const float* values = others[i].floats(memory[i]);
        (places[i].second == 0 ? stage.before.weight : places[i].second == 1 ? stage.after.weight : stage.add) = values;
      }
      std::vector<Scratch> result_memory(results.size());
      std::vector<float*> to(stages.size(), nullptr);
      for (size_t i = 0; i < results.size(); ++i) to[static_cast<size_t>(results[i] - 1)] = out[i].begin(result_memory[i]);
      run_chain(x.floats(x_memory), rows, stages, to);
      for (size_t i = 0; i < results.size(); ++i) out[i].finish(to[static_cast<size_t>(results[i] - 1)]);
    });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    Arrays values{inputs[0]};
    const auto type = inputs[0].dtype();
    size_t at = 1;
    for (const Plan& plan : plans_) {
      mx::array value = values.back();
      if (plan.eps_before) {
        std::optional<mx::array> weight;
        if (plan.weight_before) weight = mx::astype(inputs[at++], type);
        value = mx::fast::rms_norm(value, weight, *plan.eps_before);
      }
      Arrays products;
      for (const Layout& layout : plan.matrices) {
        bool affine = layout.packing == Packing::affine;
        std::optional<mx::array> biases;
        if (affine) biases = mx::astype(inputs[at + 2], type);
        products.push_back(mx::quantized_matmul(value, inputs[at],
                                                affine ? mx::astype(inputs[at + 1], type) : inputs[at + 1], biases, true,
                                                layout.group, layout.bits, affine ? "affine" : "mxfp4"));
        at += affine ? 3 : 2;
      }
      value = products.size() == 1 ? products[0] : mx::concatenate(products, -1);
      if (plan.gate != Gate::none) value = gated(value, plan.gate);
      if (plan.eps_after) {
        std::optional<mx::array> weight;
        if (plan.weight_after) weight = mx::astype(inputs[at++], type);
        value = mx::fast::rms_norm(value, weight, *plan.eps_after);
      }
      if (plan.add) value = value + mx::astype(inputs[at++], type);
      if (plan.add_value >= 0) value = value + values[static_cast<size_t>(plan.add_value)];
      values.push_back(value);
    }
    Arrays chosen;
    for (int result : results_) chosen.push_back(values[static_cast<size_t>(result)]);
    return chosen;
  }

 private:
  // The width of a stage's value; moves `at` behind the stage's inputs.
  static int width_of(const Plan& plan, const Arrays& inputs, size_t& at) {
    at += plan.weight_before;
    int width = 0;
    for (const Layout& layout : plan.matrices) {
      width += inputs[at].shape(0);
      at += layout.packing == Packing::affine ? 3 : 2;
    }
    at += plan.weight_after + plan.add;
    return plan.gate == Gate::none ? width : width / 2;
  }

  std::vector<Plan> plans_;
  std::vector<int> results_;
};

void require_norm(const std::optional<float>& eps, const std::optional<mx::array>& weight, int64_t width) {
  require(eps || !weight, kName, "a norm's weight comes with its eps");
  if (!weight) return;
  require(is_float(weight->dtype()), kName, "a norm's weight is of floats, not " + text(weight->dtype()));
  require(weight->ndim() == 1 && weight->shape(0) == width, kName,
          "a norm over " + std::to_string(width) + " items has no weight of shape " + text(weight->shape()));
}

}  // namespace

Matrix::Matrix(mx::array weight_, mx::array scales_, std::optional<mx::array> biases_, int bits_, int group_,
               const std::string& mode)
    : weight(std::move(weight_)),
      scales(std::move(scales_)),
      biases(std::move(biases_)),
      bits(bits_),
      group(group_),
      packing(mode == "mxfp4" ? Packing::mxfp4 : Packing::affine) {
  constexpr const char* name = "tensorlogic_cpu.Matrix";
  require(mode == "affine" || mode == "mxfp4", name, "there is no kernel for the mode \"" + mode + "\"");
  bool affine = packing == Packing::affine;
  require(affine ? bits == 2 || bits == 3 || bits == 4 || bits == 5 || bits == 6 || bits == 8 : bits == 4, name,
          "there is no kernel for " + std::to_string(bits) + " bits in the mode " + mode);
  require(group == 32 || (affine && (group == 64 || group == 128)), name,
          "there is no kernel for groups of " + std::to_string(group) + " in the mode " + mode);
  require(weight.dtype() == mx::uint32 && weight.ndim() == 2, name,
          "weights are uint32 [O, I * bits / 32], not " + text(weight.dtype()) + " " + text(weight.shape()));
  require(affine ? is_float(scales.dtype()) : scales.dtype() == mx::uint8, name,
          "scales in the mode " + mode + " are not " + text(scales.dtype()));
  require(affine == biases.has_value(), name, affine ? "the mode affine has biases" : "the mode mxfp4 has no biases");
  int64_t bits_in_row = static_cast<int64_t>(weight.shape(1)) * 32;
  require(bits_in_row % (static_cast<int64_t>(bits) * group) == 0, name,
          "rows of " + std::to_string(weight.shape(1)) + " words are not whole groups");
  mx::Shape groups{weight.shape(0), static_cast<int>(bits_in_row / bits / group)};
  require(scales.shape() == groups, name, "scales are " + text(groups) + ", not " + text(scales.shape()));
  require(!biases || (biases->shape() == groups && biases->dtype() == scales.dtype()), name,
          "biases are like scales, not " + (biases ? text(biases->shape()) : ""));
}

std::vector<mx::array> chain(const mx::array& x, const std::vector<StageArrays>& stages,
                             const std::vector<int>& results) {
  require(is_float(x.dtype()) && x.ndim() >= 1, kName, "x is of floats, of rank 1 or more");
  require(!stages.empty() && !results.empty(), kName, "there is a stage and a result");
  std::vector<Plan> plans;
  std::vector<mx::array> inputs{x};
  std::vector<int> widths{x.shape(-1)};
  for (const StageArrays& stage : stages) {
    int width = widths.back(), product = 0;
    require_norm(stage.eps_before, stage.weight_before, width);
    require(!stage.matrices.empty(), kName, "a stage has a matrix");
    for (const Matrix& m : stage.matrices) {
      require(m.width() == width, kName,
              "rows of " + std::to_string(width) + " items do not meet a matrix of rows of " +
                  std::to_string(m.width()));
      product += m.weight.shape(0);
    }
    require(stage.gate == Gate::none || product % 2 == 0, kName, "a gated product has two halves");
    widths.push_back(stage.gate == Gate::none ? product : product / 2);
    require_norm(stage.eps_after, stage.weight_after, widths.back());
    mx::Shape shape = x.shape();
    shape.back() = widths.back();
    require(!stage.add || (stage.add->shape() == shape && is_float(stage.add->dtype())), kName,
            "what is added is of floats of shape " + text(shape));
    require(stage.add_value < 0 || !stage.add, kName, "a stage adds one thing");
    require(stage.add_value < static_cast<int>(widths.size()) - 1 &&
                (stage.add_value < 0 || widths[static_cast<size_t>(stage.add_value)] == widths.back()),
            kName, "no earlier value of this width is there to be added");
    plans.push_back(plan_of(stage));
    append_inputs(stage, inputs);
  }
  std::vector<mx::Shape> shapes;
  for (int result : results) {
    require(result >= 1 && result < static_cast<int>(widths.size()), kName, "results are stages");
    require(std::count(results.begin(), results.end(), result) == 1, kName, "a result is asked for once");
    shapes.push_back(x.shape());
    shapes.back().back() = widths[static_cast<size_t>(result)];
  }
  std::vector<mx::Dtype> types(results.size(), x.dtype());
  return mx::array::make_arrays(shapes, types, std::make_shared<Chain>(std::move(plans), results), inputs);
}

}  // namespace tensorlogic
