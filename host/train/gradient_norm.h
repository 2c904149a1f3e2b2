#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tenon {

// The 2-norm of the gradients of all parameters together (torch.nn.utils.get_total_norm), a number
// where the gradients lie; those without a gradient count as 0. Undefined where none has one.
at::Tensor gradient_norm(const std::vector<at::Tensor>& parameters);

// torch.nn.utils.clip_grad_norm_: scales the gradients, whose norm is `norm`, so that it is
// `max_norm` at most.
void clip_gradients(const std::vector<at::Tensor>& parameters, const at::Tensor& norm,
                    double max_norm);

}  // namespace tenon
