#pragma once

#include <ATen/core/Tensor.h>

namespace tenon {

// An operand of a fused operator on `input`: under autocast all of them have its dtype, as those of
// PyTorch's own linear and convolution. A cast trained tensor is kept for the rest of the forward.
// An undefined tensor stays so.
at::Tensor as_autocast_wants(const at::Tensor& tensor, const at::Tensor& input);

}  // namespace tenon
