#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tenon {

// The 2-norm of the gradients of all parameters together (torch.nn.utils.get_total_norm); those
// without a gradient count as 0.
double gradient_norm(const std::vector<at::Tensor>& parameters);

// torch.nn.utils.clip_grad_norm_: scales the gradients so that their norm is `max_norm` at most.
// The norm before.
double clip_gradients(const std::vector<at::Tensor>& parameters, double max_norm);

}  // namespace tenon
