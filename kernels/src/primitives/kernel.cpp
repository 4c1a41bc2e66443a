#include "primitives/kernel.h"

#include <sstream>
#include <stdexcept>

#include "core/isa.h"
#include "core/pool.h"
#include "mlx/transforms.h"
#include "mlx/utils.h"

namespace tensorlogic {

Kernel::Kernel() : Primitive(mx::default_stream(mx::Device::cpu)) {}

void Kernel::eval_gpu(const Arrays&, Arrays&) {
  throw std::runtime_error(std::string("[") + name() + "] runs on the CPU only");
}

Kernel::Arrays Kernel::vjp(const Arrays& primals, const Arrays& cotangents, const std::vector<int>& argnums,
                           const Arrays&) {
  Arrays chosen;
  for (int i : argnums) chosen.push_back(primals[static_cast<size_t>(i)]);
  auto function = [&](const Arrays& given) {
    Arrays all = primals;
    for (size_t i = 0; i < argnums.size(); ++i) all[static_cast<size_t>(argnums[i])] = given[i];
    return by_mlx(all);
  };
  return mx::vjp(function, chosen, cotangents).second;
}

Kernel::Arrays Kernel::jvp(const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) {
  Arrays chosen;
  for (int i : argnums) chosen.push_back(primals[static_cast<size_t>(i)]);
  auto function = [&](const Arrays& given) {
    Arrays all = primals;
    for (size_t i = 0; i < argnums.size(); ++i) all[static_cast<size_t>(argnums[i])] = given[i];
    return by_mlx(all);
  };
  return mx::jvp(function, chosen, tangents).second;
}

std::pair<Kernel::Arrays, std::vector<int>> Kernel::vmap(const Arrays& inputs, const std::vector<int>& axes) {
  auto function = [&](const Arrays& given) { return by_mlx(given); };
  Arrays results = mx::vmap(function, axes)(inputs);
  return {results, std::vector<int>(results.size(), 0)};
}

void Kernel::allocate(mx::array& output) { output.set_data(mx::allocator::malloc(output.nbytes())); }

Element element_of(const mx::Dtype& dtype) {
  return dtype == mx::float32 ? Element::f32 : dtype == mx::float16 ? Element::f16 : Element::bf16;
}

bool is_float(const mx::Dtype& dtype) {
  return dtype == mx::float32 || dtype == mx::float16 || dtype == mx::bfloat16;
}

void refuse(const char* operation, const std::string& message) {
  throw std::invalid_argument(std::string("[") + operation + "] " + message);
}

std::string text(const mx::Shape& shape) {
  std::ostringstream out;
  out << "[";
  for (size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  out << "]";
  return out.str();
}

std::string text(const mx::Dtype& dtype) {
  std::ostringstream out;
  out << dtype;
  return out.str();
}

Input::Input(const mx::array& a)
    : data_(a.data<char>()),
      element_(element_of(a.dtype())),
      row_contiguous_(a.flags().row_contiguous),
      size_(static_cast<int64_t>(a.size())) {
  if (row_contiguous_) return;
  shape_.assign(a.shape().begin(), a.shape().end());
  strides_.assign(a.strides().begin(), a.strides().end());
}

const float* Input::floats(Scratch& scratch) const {
  if (row_contiguous_ && element_ == Element::f32) return reinterpret_cast<const float*>(data_);
  float* to = scratch.get<float>(size_);
  const Kernels& k = kernels();
  if (row_contiguous_) {
    // A grain of a few microseconds.
    pool().parallel(size_, 64 * 1024, [&](int64_t begin, int64_t end) {
      k.widen(data_ + begin * size_of(element_), element_, to + begin, end - begin);
    });
    return to;
  }
  if (size_ == 0) return to;
  // Runs along the last dim, then steps like an odometer through the others.
  const size_t last = shape_.size() - 1;
  std::vector<int64_t> index(shape_.size(), 0);
  const int64_t run = shape_[last], step = strides_[last], bytes = size_of(element_);
  int64_t offset = 0;
  for (int64_t done = 0; done < size_; done += run) {
    if (step == 1) {
      k.widen(data_ + offset * bytes, element_, to + done, run);
    } else {
      for (int64_t i = 0; i < run; ++i) k.widen(data_ + (offset + i * step) * bytes, element_, to + done + i, 1);
    }
    for (size_t d = last; d-- > 0;) {
      offset += strides_[d];
      if (++index[d] < shape_[d]) break;
      offset -= strides_[d] * shape_[d];
      index[d] = 0;
    }
  }
  return to;
}

Output::Output(mx::array& a)
    : data_(a.data<char>()), element_(element_of(a.dtype())), size_(static_cast<int64_t>(a.size())) {}

float* Output::begin(Scratch& scratch) const {
  return element_ == Element::f32 ? reinterpret_cast<float*>(data_) : scratch.get<float>(size_);
}

void Output::finish(const float* values) const {
  if (element_ == Element::f32) return;
  const Kernels& k = kernels();
  pool().parallel(size_, 64 * 1024, [&](int64_t begin, int64_t end) {
    k.narrow(values + begin, data_ + begin * size_of(element_), element_, end - begin);
  });
}

}  // namespace tensorlogic
