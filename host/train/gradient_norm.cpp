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

double gradient_norm(const std::vector<at::Tensor>& parameters) {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  return gradients.empty() ? 0 : norm_of(gradients).item<double>();
}

double clip_gradients(const std::vector<at::Tensor>& parameters, double max_norm) {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = gradients_of(parameters);
  if (gradients.empty()) return 0;
  const at::Tensor norm = norm_of(gradients);
  const at::Tensor factor = (max_norm / (norm + 1e-6)).clamp_max(1.0);
  at::_foreach_mul_(gradients, factor);
  return norm.item<double>();
}

}  // namespace tenon
