#include "primitives/rows.h"

#include <cmath>

#include "core/rotary.h"
#include "mlx/fast.h"
#include "mlx/ops.h"

namespace tensorlogic {
namespace {

RowView view_of(const mx::array& a) {
  const int64_t width = a.ndim() ? a.shape(-1) : 1;
  if (a.flags().row_contiguous && width > 0) {
    return {a.data<char>(), element_of(a.dtype()), static_cast<int64_t>(a.size()) / width, width};
  }
  return {a.data<char>(), element_of(a.dtype()), std::vector<int64_t>(a.shape().begin(), a.shape().end()),
          std::vector<int64_t>(a.strides().begin(), a.strides().end())};
}

// A node of one result, of the shape of its first input.
class RowWise : public Kernel {
 public:
  std::vector<mx::Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }

 protected:
  // Memory for the result: that of the first of `operands` inputs which nobody else holds and which is like the result,
  // or new.
  static RowsOut place(const Arrays& inputs, size_t operands, mx::array& output) {
    for (size_t i = 0; i < operands; ++i) {
      const mx::array& in = inputs[i];
      // Not where little is left of a large buffer, which would live on.
      if (in.is_donatable() && in.flags().row_contiguous && in.dtype() == output.dtype() &&
          in.buffer_size() <= output.nbytes() + kSpareBytes) {
        output.copy_shared_buffer(in);
        return {output.data<char>(), element_of(output.dtype())};
      }
    }
    allocate(output);
    return {output.data<char>(), element_of(output.dtype())};
  }

  // A weight that may be absent.
  static std::optional<Input> optional_input(const Arrays& inputs, bool present, size_t at) {
    if (!present) return std::nullopt;
    return Input(inputs[at]);
  }

 private:
  static constexpr size_t kSpareBytes = 16 * 1024;
};

// Null where it is absent. `room` is 0 or 1, for the two that a node may have.
const float* floats_of(const std::optional<Input>& input, int room) {
  thread_local Scratch memory[2];
  return input ? input->floats(memory[room]) : nullptr;
}

class RmsNorm : public RowWise {
 public:
  explicit RmsNorm(float eps) : eps_(eps) {}

  const char* name() const override { return "TensorLogicRmsNorm"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const RmsNorm*>(&other);
    return same && same->eps_ == eps_;
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    dispatch([x = view_of(inputs[0]), to = place(inputs, 1, outputs[0]), eps = eps_,
              weight = optional_input(inputs, inputs.size() > 1, 1)] {
      rms_norm_rows(x, {true, eps, floats_of(weight, 0)}, to);
    });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    std::optional<mx::array> weight;
    if (inputs.size() > 1) weight = inputs[1];
    return {mx::astype(mx::fast::rms_norm(inputs[0], weight, eps_), inputs[0].dtype())};
  }

 private:
  float eps_;
};

class LayerNorm : public RowWise {
 public:
  LayerNorm(float eps, bool weight, bool bias) : eps_(eps), weight_(weight), bias_(bias) {}

  const char* name() const override { return "TensorLogicLayerNorm"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const LayerNorm*>(&other);
    return same && same->eps_ == eps_ && same->weight_ == weight_ && same->bias_ == bias_;
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    dispatch([x = view_of(inputs[0]), to = place(inputs, 1, outputs[0]), eps = eps_,
              weight = optional_input(inputs, weight_, 1), bias = optional_input(inputs, bias_, 1 + weight_)] {
      layer_norm_rows(x, eps, floats_of(weight, 0), floats_of(bias, 1), to);
    });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    std::optional<mx::array> weight, bias;
    if (weight_) weight = inputs[1];
    if (bias_) bias = inputs[1 + weight_];
    return {mx::astype(mx::fast::layer_norm(inputs[0], weight, bias, eps_), inputs[0].dtype())};
  }

 private:
  float eps_;
  bool weight_, bias_;
};

class Softmax : public RowWise {
 public:
  const char* name() const override { return "TensorLogicSoftmax"; }

  bool is_equivalent(const Primitive& other) const override { return dynamic_cast<const Softmax*>(&other); }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    dispatch([x = view_of(inputs[0]), to = place(inputs, 1, outputs[0])] { softmax_rows(x, to); });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override { return {mx::softmax(inputs[0], -1, true)}; }
};

mx::array activated(const mx::array& x, Activation activation) {
  auto number = [&](float value) { return mx::array(value, x.dtype()); };
  switch (activation) {
    case Activation::silu:
      return x * mx::sigmoid(x);
    case Activation::gelu:
      return number(0.5f) * x * (number(1) + mx::erf(x * number(0.7071067812f)));
    case Activation::gelu_tanh:
      break;
  }
  auto u = number(0.7978845608f) * (x + number(0.044715f) * x * x * x);
  return number(0.5f) * x * (number(1) + mx::tanh(u));
}

class Activate : public RowWise {
 public:
  explicit Activate(Activation activation) : activation_(activation) {}

  const char* name() const override { return "TensorLogicActivate"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const Activate*>(&other);
    return same && same->activation_ == activation_;
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    dispatch([x = view_of(inputs[0]), to = place(inputs, 1, outputs[0]), activation = activation_] {
      activate_rows(x, activation, to);
    });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override { return {activated(inputs[0], activation_)}; }

 private:
  Activation activation_;
};

class Gated : public RowWise {
 public:
  explicit Gated(Gate kind) : kind_(kind) {}

  const char* name() const override { return "TensorLogicGated"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const Gated*>(&other);
    return same && same->kind_ == kind_;
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    dispatch([gate = view_of(inputs[0]), up = view_of(inputs[1]), to = place(inputs, 2, outputs[0]), kind = kind_] {
      gated_rows(gate, up, kind, to);
    });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    auto activation = kind_ == Gate::silu ? Activation::silu : Activation::gelu_tanh;
    return {activated(inputs[0], activation) * mx::astype(inputs[1], inputs[0].dtype())};
  }

 private:
  Gate kind_;
};

class Argmax : public Kernel {
 public:
  const char* name() const override { return "TensorLogicArgmax"; }

  bool is_equivalent(const Primitive& other) const override { return dynamic_cast<const Argmax*>(&other); }

  std::vector<mx::Shape> output_shapes(const Arrays& inputs) override { return {leading(inputs[0])}; }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    allocate(outputs[0]);
    dispatch([x = view_of(inputs[0]), to = outputs[0].data<int32_t>()] { argmax_rows(x, to); });
  }

  static mx::Shape leading(const mx::array& x) { return {x.shape().begin(), x.shape().end() - 1}; }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    mx::array wide = mx::astype(inputs[0], mx::float32);
    mx::array place = mx::astype(mx::argmax(wide, -1), mx::int32);
    return {mx::where(mx::isnan(mx::sum(wide, -1)), mx::array(-1), place)};
  }
};

class Cast : public RowWise {
 public:
  explicit Cast(mx::Dtype type) : type_(type) {}

  const char* name() const override { return "TensorLogicCast"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const Cast*>(&other);
    return same && same->type_ == type_;
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    dispatch([x = view_of(inputs[0]), to = place(inputs, 0, outputs[0])] { cast_rows(x, to); });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override { return {mx::astype(inputs[0], type_)}; }

 private:
  mx::Dtype type_;
};

class Rope : public RowWise {
 public:
  explicit Rope(const Rotary& how) : how_(how) {}

  const char* name() const override { return "TensorLogicRope"; }

  bool is_equivalent(const Primitive& other) const override {
    auto same = dynamic_cast<const Rope*>(&other);
    return same && same->how_ == how_;
  }

  void eval_cpu(const Arrays& inputs, Arrays& outputs) override {
    dispatch([x = view_of(inputs[0]), to = place(inputs, 1, outputs[0]), how = how_, length = inputs[0].shape(-2),
              freqs = optional_input(inputs, inputs.size() > 1, 1)]() mutable {
      how.freqs = floats_of(freqs, 0);
      rotate_rows(x, length, how, to);
    });
  }

 protected:
  Arrays by_mlx(const Arrays& inputs) const override {
    mx::array x = inputs[0];
    if (x.ndim() == 2) x = mx::expand_dims(x, 0);
    std::optional<mx::array> freqs;
    if (inputs.size() > 1) freqs = inputs[1];
    std::optional<float> base;
    if (!freqs) base = how_.base;
    mx::array turned = mx::fast::rope(x, static_cast<int>(how_.dims), how_.traditional, base, how_.scale,
                                      static_cast<int>(how_.offset), freqs);
    return {mx::reshape(turned, inputs[0].shape())};
  }

 private:
  Rotary how_;  // without `freqs`, which is an input
};

constexpr const char* kRmsNorm = "tensorlogic_cpu.rms_norm";
constexpr const char* kLayerNorm = "tensorlogic_cpu.layer_norm";
constexpr const char* kRope = "tensorlogic_cpu.rope";

void require_floats(const mx::array& a, const char* operation, const char* what) {
  require(is_float(a.dtype()), operation, [&] { return std::string(what) + " is of floats, not " + text(a.dtype()); });
}

void require_rows(const mx::array& x, const char* operation) {
  require_floats(x, operation, "x");
  require(x.ndim() >= 1, operation, "x has a last dim");
}

void require_of_row(const std::optional<mx::array>& a, const mx::array& x, const char* operation, const char* what) {
  if (!a) return;
  require_floats(*a, operation, what);
  require(a->ndim() == 1 && a->shape(0) == x.shape(-1), operation, [&] {
    return "a row of " + std::to_string(x.shape(-1)) + " items has no " + what + " of shape " + text(a->shape());
  });
}

mx::array node(std::shared_ptr<mx::Primitive> primitive, std::vector<mx::array> inputs, mx::Dtype type) {
  mx::Shape shape = inputs[0].shape();
  return {std::move(shape), type, std::move(primitive), std::move(inputs)};
}

}  // namespace

mx::array rms_norm(const mx::array& x, const std::optional<mx::array>& weight, float eps) {
  require_rows(x, kRmsNorm);
  require_of_row(weight, x, kRmsNorm, "weight");
  std::vector<mx::array> inputs{x};
  if (weight) inputs.push_back(*weight);
  return node(std::make_shared<RmsNorm>(eps), std::move(inputs), x.dtype());
}

mx::array layer_norm(const mx::array& x, const std::optional<mx::array>& weight, const std::optional<mx::array>& bias,
                     float eps) {
  require_rows(x, kLayerNorm);
  require_of_row(weight, x, kLayerNorm, "weight");
  require_of_row(bias, x, kLayerNorm, "bias");
  std::vector<mx::array> inputs{x};
  if (weight) inputs.push_back(*weight);
  if (bias) inputs.push_back(*bias);
  return node(std::make_shared<LayerNorm>(eps, weight.has_value(), bias.has_value()), std::move(inputs), x.dtype());
}

mx::array softmax(const mx::array& x) {
  require_rows(x, "tensorlogic_cpu.softmax");
  return node(std::make_shared<Softmax>(), {x}, x.dtype());
}

mx::array activate(const mx::array& x, Activation activation) {
  require_floats(x, activation == Activation::silu ? "tensorlogic_cpu.silu" : "tensorlogic_cpu.gelu", "x");
  return node(std::make_shared<Activate>(activation), {x}, x.dtype());
}

mx::array gated(const mx::array& gate, const mx::array& up, Gate kind) {
  constexpr const char* name = "tensorlogic_cpu.gated";
  require_floats(gate, name, "gate");
  require_floats(up, name, "up");
  require(gate.shape() == up.shape(), name,
          [&] { return "gate " + text(gate.shape()) + " and up " + text(up.shape()) + " have one shape"; });
  return node(std::make_shared<Gated>(kind), {gate, up}, gate.dtype());
}

mx::array argmax(const mx::array& x) {
  constexpr const char* name = "tensorlogic_cpu.argmax";
  require_rows(x, name);
  require(x.shape(-1) > 0, name, "rows have items");
  return {Argmax::leading(x), mx::int32, std::make_shared<Argmax>(), {x}};
}

mx::array cast(const mx::array& x, mx::Dtype type) {
  constexpr const char* name = "tensorlogic_cpu.cast";
  require_floats(x, name, "x");
  require(is_float(type), name, [&] { return "the result is of float32, float16 or bfloat16, not " + text(type); });
  if (x.dtype() == type) return x;
  return node(std::make_shared<Cast>(type), {x}, type);
}

mx::array rope(const mx::array& x, int dims, bool traditional, std::optional<float> base, float scale, int offset,
               const std::optional<mx::array>& freqs) {
  require_floats(x, kRope, "x");
  require(x.ndim() >= 2, kRope, [&] { return "x is [..., L, D], not " + text(x.shape()); });
  require(dims > 0 && dims % 2 == 0 && dims <= x.shape(-1), kRope,
          [&] { return "dims are even, from 2 to " + std::to_string(x.shape(-1)) + ", not " + std::to_string(dims); });
  require(base.has_value() != freqs.has_value(), kRope, "one of base and freqs is given");
  require(!base || (*base > 0 && std::isfinite(*base)), kRope, "base is positive and finite");
  std::vector<mx::array> inputs{x};
  if (freqs) {
    require_floats(*freqs, kRope, "freqs");
    require(freqs->ndim() == 1 && freqs->shape(0) == dims / 2, kRope,
            [&] { return "freqs are [" + std::to_string(dims / 2) + "], not " + text(freqs->shape()); });
    inputs.push_back(*freqs);
  }
  Rotary how{dims, traditional, base.value_or(0), nullptr, scale, offset};
  return node(std::make_shared<Rope>(how), std::move(inputs), x.dtype());
}

}  // namespace tensorlogic
