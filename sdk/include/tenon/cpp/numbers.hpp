// Numbers in and out of tensors.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "tenon/cpp/operator.hpp"

namespace tenon __attribute__((visibility("hidden"))) {
  namespace detail {

  template <typename T>
  constexpr tenon_dtype dtype_of() {
    if constexpr (std::is_same_v<T, float>) return TENON_DTYPE_FLOAT32;
    if constexpr (std::is_same_v<T, double>) return TENON_DTYPE_FLOAT64;
    if constexpr (std::is_same_v<T, std::int64_t>) return TENON_DTYPE_INT64;
    if constexpr (std::is_same_v<T, std::int32_t>) return TENON_DTYPE_INT32;
    if constexpr (std::is_same_v<T, std::uint8_t>) return TENON_DTYPE_UINT8;
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> ||
                      std::is_same_v<T, std::int64_t> || std::is_same_v<T, std::int32_t> ||
                      std::is_same_v<T, std::uint8_t>,
                  "float, double, or an integer of 64, 32 or unsigned 8 bits");
  }

  }  // namespace detail

  // A tensor on the CPU with a copy of these numbers: as many as the shape has.
  template <typename T>
  Tensor tensor_from(const std::vector<T>& numbers, const Shape& shape) {
    static const Operator empty("aten::empty", "memory_format");
    Tensor made = empty(shape, Dtype{detail::dtype_of<T>()});
    const tenon_tensor_info info = made.info();
    if (info.elements != static_cast<std::int64_t>(numbers.size())) {
      throw Failure(TENON_BAD_SHAPE, "the shape has " + std::to_string(info.elements) +
                                         " elements, given are " + std::to_string(numbers.size()));
    }
    // The tensor is this function's own until it returns.
    if (!numbers.empty()) {
      std::memcpy(const_cast<void*>(info.data), numbers.data(), numbers.size() * sizeof(T));
    }
    return made;
  }

  // The tensor on the device of `like`: itself where it lies there. What is made without another
  // tensor (numbers, `aten::arange`, draws of a generator) lies on the CPU at first. Nobody waits
  // for the copy.
  inline Tensor on_device_of(const Tensor& like, const Tensor& tensor) {
    static const Operator new_empty("aten::new_empty");
    static const Operator copy("aten::copy_");
    static const Operator pin("aten::pin_memory");
    const tenon_tensor_info wanted = like.info();
    const tenon_tensor_info given = tensor.info();
    if (wanted.device_type == given.device_type && wanted.device_index == given.device_index) {
      return tensor;
    }
    const Tensor made = new_empty(like, tensor.shape(), named("dtype", Dtype{tensor.dtype()}));
    return given.device_type == 0 ? copy(made, pin(tensor), true) : copy(made, tensor);
  }

  // All elements in order, converted to T, wherever the tensor lies.
  template <typename T>
  std::vector<T> numbers_of(const Tensor& tensor) {
    static const Operator to("aten::to", "device");
    static const Operator contiguous("aten::contiguous");
    const Tensor here = contiguous(to(tensor, "cpu", Dtype{detail::dtype_of<T>()}));
    const tenon_tensor_info info = here.info();
    std::vector<T> numbers(static_cast<std::size_t>(info.elements));
    if (!numbers.empty()) std::memcpy(numbers.data(), info.data, numbers.size() * sizeof(T));
    return numbers;
  }

  // The number of a tensor that has one.
  template <typename T>
  T number_of(const Tensor& tensor) {
    const std::vector<T> numbers = numbers_of<T>(tensor);
    if (numbers.size() != 1) {
      throw Failure(TENON_BAD_SHAPE,
                    "the tensor has " + std::to_string(numbers.size()) + " elements, not one");
    }
    return numbers[0];
  }

}  // namespace tenon
