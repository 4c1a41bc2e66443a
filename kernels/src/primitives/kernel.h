// What all our nodes of MLX graphs share.
//
// A node takes arrays of any strides and gives row-contiguous ones. Gradients and vmap are those of the same computation
// in MLX's own operations (`by_mlx`), or MLX's word that it has none. Shapes and types are checked when a node is made;
// the work runs later, on the thread of the stream.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "core/element.h"
#include "core/scratch.h"
#include "mlx/array.h"
#include "mlx/backend/cpu/encoder.h"
#include "mlx/primitives.h"

namespace tensorlogic {

namespace mx = mlx::core;

class Kernel : public mx::Primitive {
 public:
  using Arrays = std::vector<mx::array>;

  // On the CPU's default stream.
  Kernel();

  void eval_gpu(const Arrays& inputs, Arrays& outputs) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums,
             const Arrays& outputs) override;
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) override;
  std::pair<Arrays, std::vector<int>> vmap(const Arrays& inputs, const std::vector<int>& axes) override;

 protected:
  // The same results by MLX's own operations.
  virtual Arrays by_mlx(const Arrays& inputs) const = 0;

  // Memory for an output.
  static void allocate(mx::array& output);
  // Runs `work` on the stream's thread. It may hold what `Input` and `data` give, no arrays.
  template <class F>
  void dispatch(F&& work) {
    mx::cpu::get_command_encoder(stream()).dispatch(std::forward<F>(work));
  }
};

Element element_of(const mx::Dtype& dtype);
bool is_float(const mx::Dtype& dtype);  // float32, float16, bfloat16
// Throws std::invalid_argument, "[operation] message".
[[noreturn]] void refuse(const char* operation, const std::string& message);
// Does so where `holds` is false. The message is a text, or what makes one: each node of a graph asks many such
// questions, and the words for shapes would cost more than the answers.
template <class Message>
void require(bool holds, const char* operation, const Message& message) {
  if (holds) return;
  if constexpr (std::is_invocable_v<Message>) refuse(operation, message());
  else refuse(operation, message);
}
std::string text(const mx::Shape& shape);
std::string text(const mx::Dtype& dtype);

// What a task needs of a float array: valid while MLX runs the task.
class Input {
 public:
  explicit Input(const mx::array& a);
  // Its items in row-major order as float32: its own memory where that is so already, else a copy in `scratch`.
  const float* floats(Scratch& scratch) const;
  int64_t size() const { return size_; }

 private:
  const char* data_;
  Element element_;
  bool row_contiguous_;
  int64_t size_;
  std::vector<int64_t> shape_, strides_;
};

// Where a task writes float32 rows that become an output's type at the end.
class Output {
 public:
  explicit Output(mx::array& a);
  float* begin(Scratch& scratch) const;
  void finish(const float* values) const;
  int64_t size() const { return size_; }

 private:
  char* data_;
  Element element_;
  int64_t size_;
};

// The memory of a row-contiguous input.
template <class T>
const T* contiguous(const mx::array& a, const char* operation) {
  require(a.flags().row_contiguous, operation, "packed weights, scales and biases are row-contiguous");
  return a.data<T>();
}

}  // namespace tensorlogic
