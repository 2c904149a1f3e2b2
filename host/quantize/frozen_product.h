#pragma once

#include <ATen/core/Tensor.h>

namespace tenon {

// x (n, k) times a matrix (k, m) that is not trained, plus bias (m) if it is defined. LibTorch's
// own product, but for half dtypes on a CPU that has no instructions for them: there it is made in
// float32, some columns of the matrix at a time, and rounded once, which takes a tenth of the time
// or less and is closer to the exact one. Records no gradient.
at::Tensor frozen_product(const at::Tensor& x, const at::Tensor& matrix,
                          const at::Tensor& bias = {});

// Whether frozen_product has another way for these than LibTorch's.
bool is_slow_product(const at::Tensor& x, const at::Tensor& matrix);

// The product in float32 by parts, whatever the processor has.
at::Tensor product_in_float32(const at::Tensor& x, const at::Tensor& matrix,
                              const at::Tensor& bias = {});

// x (..., in) through a linear layer whose weight (out, in) and bias, which may be undefined, are
// not trained: product_in_float32 with the gradient to x, for which it keeps the weight as it is.
at::Tensor linear_in_float32(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace tenon
