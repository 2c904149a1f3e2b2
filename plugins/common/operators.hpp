// LibTorch's operators that several methods need, by names that read well.
#pragma once

#include <cstdint>
#include <string>
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
  return op(tenon::handles_of(tensors), dimension);
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

// 0 or 1, 1 with the probability 1 - p; drawn on the CPU, where the run's seed gives the same
// numbers everywhere.
inline bool draws_kept(double p) {
  static const tenon::Operator rand("aten::rand");
  return tenon::number_of<double>(rand(Shape{1})) > p;
}

// A tensor of these numbers, on the device of `like`.
inline Tensor tensor_of(const std::vector<std::int64_t>& numbers, const Tensor& like) {
  return tenon::on_device_of(
      like, tenon::tensor_from(numbers, {static_cast<std::int64_t>(numbers.size())}));
}

// torch.randperm(size, generator=torch.Generator().manual_seed(seed)): what PEFT draws again from a
// seed in a config.
inline Tensor seeded_permutation(std::int64_t size, std::int64_t seed) {
  static const tenon::Operator randperm("aten::randperm", "generator");
  const tenon::Generator generator(static_cast<std::uint64_t>(seed));
  return randperm(size, generator.get());
}

}  // namespace methods
