#include "operations/task_arithmetic.h"

#include <ATen/ATen.h>

namespace tenon {
namespace {

at::Tensor keep_largest(const at::Tensor& tensor, double density) {
  const auto count = static_cast<std::int64_t>(density * static_cast<double>(tensor.numel()));
  const at::Tensor places = std::get<1>(at::topk(tensor.abs().reshape(-1), count));
  const at::Tensor mask = at::zeros({tensor.numel()}, tensor.options()).index_fill_(0, places, 1);
  return tensor * mask.reshape(tensor.sizes());
}

at::Tensor keep_random(const at::Tensor& tensor, double density, const at::Generator& generator) {
  return tensor * at::bernoulli(at::full_like(tensor, density), generator) / density;
}

at::Tensor majority_mask(const at::Tensor& stacked, bool by_frequency) {
  const at::Tensor votes = by_frequency ? stacked.sign().sum(0) : stacked.sum(0);
  const at::Tensor sign = at::where(votes >= 0, at::ones_like(votes), -at::ones_like(votes));
  return stacked.sign() == sign;
}

}  // namespace

at::Tensor combine_tensors(const TaskArithmetic& how, std::vector<at::Tensor> tensors,
                           const std::vector<double>& weights) {
  const bool is_random = how.method.starts_with("dare");
  for (at::Tensor& tensor : tensors) {
    if (how.method == "linear" || how.density >= 1) break;
    tensor = is_random ? keep_random(tensor, how.density, how.generator)
                       : keep_largest(tensor, how.density);
  }
  const at::Tensor stacked = at::stack(tensors);
  std::vector<std::int64_t> shape(static_cast<std::size_t>(stacked.dim()), 1);
  shape[0] = stacked.size(0);
  const at::Tensor weighted = stacked * at::tensor(weights, at::kFloat).reshape(shape);
  if (!how.method.ends_with("ties")) return weighted.sum(0);
  const at::Tensor mask = majority_mask(stacked, how.by_frequency);
  return (weighted * mask).sum(0) / mask.sum(0).clamp_min(1.0);
}

}  // namespace tenon
