#include "train/gradient_norm.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

namespace tenon {
namespace {

// Sparse ones (an embedding's) are made dense, which is what the optimizer does with them.
std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> gradients;
  gradients.reserve(parameters.size());
  for (const at::Tensor& parameter : parameters) {
    if (!parameter.grad().defined()) continue;
    if (parameter.grad().layout() != at::kStrided) {
      parameter.mutable_grad() = parameter.grad().to_dense();
    }
    gradients.push_back(parameter.grad());
  }
  return gradients;
}

// PyTorch takes the norm of the norms.
at::Tensor norm_of(const std::vector<at::Tensor>& gradients) {
  std::vector<at::Tensor> norms = at::_foreach_norm(gradients);
  for (at::Tensor& norm : norms) norm = norm.to(gradients.front().device());
  return at::linalg_vector_norm(at::stack(norms));
}

}  // namespace

at::Tensor gradient_norm(const std::vector<at::Tensor>& parameters) {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  return gradients.empty() ? at::Tensor() : norm_of(gradients);
}

void clip_gradients(const std::vector<at::Tensor>& parameters, const at::Tensor& norm,
                    double max_norm) {
  const at::NoGradGuard no_grad;
  if (!norm.defined()) return;
  at::_foreach_mul_(gradients_of(parameters), (max_norm / (norm + 1e-6)).clamp_max(1.0));
}

}  // namespace tenon
