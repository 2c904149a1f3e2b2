// The few operators that most layers need, by names that read well.
#pragma once

#include <cstdint>

#include "tenon/cpp/operator.hpp"

namespace tenon __attribute__((visibility("hidden"))) {

  inline Tensor operator+(const Tensor& a, const Tensor& b) {
    static const Operator add("aten::add", "Tensor");
    return add(a, b);
  }
  inline Tensor operator+(const Tensor& a, double b) {
    static const Operator add("aten::add", "Scalar");
    return add(a, b);
  }
  inline Tensor operator+(double a, const Tensor& b) { return b + a; }
  // a + alpha * b, without a scaled copy of b.
  inline Tensor add(const Tensor& a, const Tensor& b, double alpha) {
    static const Operator op("aten::add", "Tensor");
    return op(a, b, alpha);
  }
  inline Tensor operator-(const Tensor& a, const Tensor& b) {
    static const Operator sub("aten::sub", "Tensor");
    return sub(a, b);
  }
  inline Tensor operator-(const Tensor& a, double b) {
    static const Operator sub("aten::sub", "Scalar");
    return sub(a, b);
  }
  inline Tensor operator-(double a, const Tensor& b) {
    static const Operator rsub("aten::rsub", "Scalar");
    return rsub(b, a);
  }
  inline Tensor operator-(const Tensor& a) {
    static const Operator neg("aten::neg");
    return neg(a);
  }
  inline Tensor operator*(const Tensor& a, const Tensor& b) {
    static const Operator mul("aten::mul", "Tensor");
    return mul(a, b);
  }
  inline Tensor operator*(const Tensor& a, double b) {
    static const Operator mul("aten::mul", "Scalar");
    return mul(a, b);
  }
  inline Tensor operator*(double a, const Tensor& b) { return b * a; }
  inline Tensor operator/(const Tensor& a, const Tensor& b) {
    static const Operator div("aten::div", "Tensor");
    return div(a, b);
  }
  inline Tensor operator/(const Tensor& a, double b) {
    static const Operator div("aten::div", "Scalar");
    return div(a, b);
  }
  inline Tensor matmul(const Tensor& a, const Tensor& b) {
    static const Operator op("aten::matmul");
    return op(a, b);
  }
  // x W^T; weight (out, in).
  inline Tensor linear(const Tensor& x, const Tensor& weight) {
    static const Operator op("aten::linear");
    return op(x, weight);
  }
  inline Tensor transpose(const Tensor& x, std::int64_t first, std::int64_t second) {
    static const Operator op("aten::transpose", "int");
    return op(x, first, second);
  }
  inline Tensor reshape(const Tensor& x, const Shape& shape) {
    static const Operator op("aten::reshape");
    return op(x, shape);
  }
  inline Tensor dropout(const Tensor& x, double p, bool training) {
    static const Operator op("aten::dropout");
    return op(x, p, training);
  }
  inline Tensor to_dtype(const Tensor& x, std::int32_t dtype) {
    static const Operator op("aten::to", "dtype");
    return op(x, Dtype{dtype});
  }

}  // namespace tenon
