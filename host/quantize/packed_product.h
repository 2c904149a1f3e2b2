#pragma once

#include <ATen/core/Tensor.h>

namespace tenon {

// x (n, k) times a packed matrix (k, m), plus beta * bias, which expands to (n, m), if it is
// defined; the product times alpha. The matrix is unpacked some columns of the result at a time,
// into a few megabytes that the next part uses again, so each number of the result is summed as
// LibTorch would. Half dtypes that the processor has no instructions for are multiplied in float32
// and rounded once.
at::Tensor packed_product(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                          const at::Scalar& beta, const at::Scalar& alpha);

}  // namespace tenon
