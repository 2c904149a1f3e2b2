// Operators that the starts from data need, by names that read well.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <tenon/sdk.hpp>

namespace lora {

using tenon::Tensor;

inline Tensor over(const Tensor& a, double b) {
  static const tenon::Operator op("aten::div", "Scalar");
  return op(a, b);
}
inline Tensor square(const Tensor& a) {
  static const tenon::Operator op("aten::square");
  return op(a);
}
inline Tensor square_root(const Tensor& a) {
  static const tenon::Operator op("aten::sqrt");
  return op(a);
}
inline Tensor unsqueeze(const Tensor& a, std::int64_t dimension) {
  static const tenon::Operator op("aten::unsqueeze");
  return op(a, dimension);
}
inline Tensor narrow(const Tensor& a, std::int64_t dimension, std::int64_t start,
                     std::int64_t size) {
  static const tenon::Operator op("aten::narrow");
  return op(a, dimension, start, size);
}
// Over the rows, in float64.
inline Tensor column_sums(const Tensor& rows) {
  static const tenon::Operator op("aten::sum", "dim_IntList");
  return op(rows, tenon::Shape{0}, false, tenon::Dtype{TENON_DTYPE_FLOAT64});
}
inline bool is_finite(const Tensor& a) {
  static const tenon::Operator finite("aten::isfinite");
  static const tenon::Operator all("aten::all");
  return tenon::number_of<std::uint8_t>(all(finite(a))) != 0;
}
inline Tensor turned(const Tensor& a) { return tenon::transpose(a, 0, 1); }

}  // namespace lora
