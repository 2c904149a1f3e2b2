// LibTorch's operators that several methods need, by names that read well.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include <tenon/sdk.hpp>

namespace methods {

using tenon::Shape;
using tenon::Tensor;

// Of the key `bias`, which the methods have in PEFT: what is supported of it.
inline constexpr const char* kNoBias[] = {"none"};

inline Tensor with_dtype(const Tensor& x, std::int32_t dtype) {
  return x.dtype() == dtype ? x : to_dtype(x, dtype);
}

inline Tensor cat(const std::vector<Tensor>& tensors, std::int64_t dimension) {
  static const tenon::Operator op("aten::cat");
  std::vector<tenon_tensor> handles;
  handles.reserve(tensors.size());
  for (const Tensor& tensor : tensors) handles.push_back(tensor.handle());
  return op(handles, dimension);
}

inline Tensor narrow(const Tensor& x, std::int64_t dimension, std::int64_t start,
                     std::int64_t size) {
  static const tenon::Operator op("aten::narrow");
  return op(x, dimension, start, size);
}

inline Tensor zeros_like(const Tensor& x) {
  static const tenon::Operator op("aten::zeros_like");
  return op(x);
}

// Of the dtype and on the device of `like`.
inline Tensor zeros(const Shape& shape, const Tensor& like) {
  static const tenon::Operator op("aten::new_zeros");
  return op(like, shape);
}

inline Tensor identity(std::int64_t size, const Tensor& like) {
  static const tenon::Operator op("aten::diag_embed");
  static const tenon::Operator ones("aten::new_ones");
  return op(ones(like, Shape{size}));
}

// Euclidean, along one dimension, which stays with the size 1.
inline Tensor norm(const Tensor& x, std::int64_t dimension) {
  static const tenon::Operator op("aten::linalg_vector_norm");
  return op(x, 2.0, Shape{dimension}, true);
}

inline Tensor clamp_min(const Tensor& x, double minimum) {
  static const tenon::Operator op("aten::clamp_min");
  return op(x, minimum);
}

// 0 or 1 for each, 1 with the probability 1 - p; drawn on the CPU, whose numbers PyTorch's seed
// makes the same everywhere.
inline std::vector<float> draw_kept(std::int64_t count, double p) {
  static const tenon::Operator rand("aten::rand");
  static const tenon::Operator greater("aten::gt", "Scalar");
  const Tensor kept = to_dtype(greater(rand(Shape{count}), p), TENON_DTYPE_FLOAT32);
  std::vector<float> numbers(static_cast<std::size_t>(count));
  std::memcpy(numbers.data(), kept.info().data, numbers.size() * sizeof(float));
  return numbers;
}

// A tensor of these numbers, on the device of `like`.
inline Tensor tensor_of(const std::vector<std::int64_t>& numbers, const Tensor& like) {
  static const tenon::Operator empty("aten::empty", "memory_format");
  static const tenon::Operator to_device("aten::to", "device");
  const Tensor made =
      empty(Shape{static_cast<std::int64_t>(numbers.size())}, tenon::Dtype{TENON_DTYPE_INT64});
  // Nobody else has it yet.
  std::memcpy(const_cast<void*>(made.info().data), numbers.data(),
              numbers.size() * sizeof(std::int64_t));
  const tenon_tensor_info facts = like.info();
  if (facts.device_type == 0) return made;
  return to_device(made, "cuda:" + std::to_string(facts.device_index),
                   tenon::Dtype{TENON_DTYPE_INT64});
}

}  // namespace methods
