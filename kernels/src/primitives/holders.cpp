#include "primitives/holders.h"

#include <mutex>
#include <unordered_map>

namespace tensorlogic {
namespace {

namespace mx = mlx::core;

// The count of an array's holders is private. An explicit instantiation may name it.
template <class Tag, auto member>
struct Opened {
  friend auto member_of(Tag) { return member; }
};
struct Descriptor {
  friend auto member_of(Descriptor);
};
template struct Opened<Descriptor, &mx::array::array_desc_>;

// How many tasks hold a piece of memory and have not ended.
struct Queue {
  std::mutex mutex;
  std::unordered_map<const void*, long> tasks;
};

// Never destroyed: MLX's threads may outlive static objects.
Queue& queue() {
  static Queue* instance = new Queue;
  return *instance;
}

}  // namespace

void let_siblings_go(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  for (mx::array& out : outputs) {
    if (&out.inputs() != &inputs && !out.is_tracer()) out.inputs().clear();
  }
}

QueuedMemory::QueuedMemory(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) {
  Queue& q = queue();
  std::lock_guard<std::mutex> held(q.mutex);
  for (mx::array& out : outputs) {
    // MLX's queue holds the others; the array that is evaluated, to which `inputs` belong, has its memory for itself.
    if (&out.inputs() == &inputs) continue;
    memory_.push_back(out.data_shared_ptr().get());
    ++q.tasks[memory_.back()];
  }
}

QueuedMemory::~QueuedMemory() {
  Queue& q = queue();
  std::lock_guard<std::mutex> held(q.mutex);
  for (const void* memory : memory_) {
    if (--q.tasks[memory] == 0) q.tasks.erase(memory);
  }
}

bool held_only_by_its_node(const mx::array& a) {
  if ((a.*member_of(Descriptor{})).use_count() != 1 || !a.data_shared_ptr()->is_owned()) return false;
  // MLX lets go of memory after a task's end, and this order lets a task end in between: the tasks that are counted
  // are at most those that hold the memory, and where the numbers agree no one else does.
  const long holders = a.data_shared_ptr().use_count();
  Queue& q = queue();
  std::lock_guard<std::mutex> held(q.mutex);
  auto found = q.tasks.find(a.data_shared_ptr().get());
  return holders == 1 + (found == q.tasks.end() ? 0 : found->second);
}

}  // namespace tensorlogic
