// Who holds the memory of an array that a node may change in place.
//
// MLX's array::is_donatable says whether a node is the only holder of an input and the input of its memory, but it says
// no for two reasons that are no reason to copy: each output of a node with several holds the inputs, and MLX's queue
// holds the memory of the outputs until their task has run, while the next step may be scheduled already.
#pragma once

#include <vector>

#include "mlx/array.h"

namespace tensorlogic {

// At the beginning of eval_cpu: takes `inputs` from those of `outputs` that hold them as well. Nothing reads them there
// any more: MLX does the same when a node is done. Arrays that a transformation traces keep them.
void let_siblings_go(const std::vector<mlx::core::array>& inputs, std::vector<mlx::core::array>& outputs);

// Made at the end of eval_cpu: the memory of the outputs that MLX's queue will hold until after the task. Must end with
// the task's work, before MLX lets go.
class QueuedMemory {
 public:
  QueuedMemory(const std::vector<mlx::core::array>& inputs, std::vector<mlx::core::array>& outputs);
  QueuedMemory(const QueuedMemory&) = delete;
  QueuedMemory& operator=(const QueuedMemory&) = delete;
  ~QueuedMemory();

 private:
  std::vector<const void*> memory_;
};

// In eval_cpu, after `let_siblings_go`: whether nothing but the node holds the input `a`, and nothing but `a` and the
// tasks of such nodes its memory.
bool held_only_by_its_node(const mlx::core::array& a);

}  // namespace tensorlogic
