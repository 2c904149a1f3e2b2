#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace tenon {

// Whether the matrix library multiplies this dtype by instructions of this processor's own. Without
// them it is tens of times slower than in float32.
bool is_multiplied_fast(at::ScalarType dtype);

// Columns [first, first + count) of a product's right factor (depth, width), in the dtype that it
// is multiplied in.
using FactorPart = std::function<at::Tensor(std::int64_t first, std::int64_t count)>;

struct RightFactor {
  std::int64_t depth = 0;
  std::int64_t width = 0;
  at::ScalarType dtype = at::ScalarType::Undefined;  // of the parts
  FactorPart part;
};

// alpha * x (n, depth) * factor + beta * bias, which expands to (n, width), if it is defined; in
// the dtype of x. The factor is made some columns at a time, into a few megabytes that the next
// part uses again, so each number of the result is summed as LibTorch would. Where its dtype is
// wider than that of x, the result is rounded once.
at::Tensor product_by_parts(const at::Tensor& x, const RightFactor& factor, const at::Tensor& bias,
                            const at::Scalar& beta, const at::Scalar& alpha);

}  // namespace tenon
