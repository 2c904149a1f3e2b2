#include "check/gradient_check.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "graph/parameter_init.h"

namespace tenon {
namespace {

constexpr double kStep = 1e-6;
// Central differences in double precision are good to about 1e-9 of values around 1.
constexpr double kTolerance = 1e-5;
constexpr std::int64_t kMostElements = 12;  // of each variable

// A different weight for each output element, so that no two errors cancel.
at::Tensor weighted_sum(const std::vector<at::Tensor>& outputs) {
  const at::Generator generator = make_generator(7);
  at::Tensor sum = at::zeros({}, at::kDouble);
  for (const at::Tensor& output : outputs) {
    if (!output.is_floating_point()) continue;
    const at::Tensor weights = at::empty(output.sizes(), at::kDouble).uniform_(0.5, 1.5, generator);
    sum = sum + (output * weights.to(output.device())).sum().to(at::kCPU);
  }
  return sum;
}

// "[1, 0]"
std::string position(const at::Tensor& tensor, std::int64_t element) {
  std::vector<std::int64_t> place(static_cast<std::size_t>(tensor.dim()));
  for (auto d = tensor.dim(); d-- > 0;) {
    place[static_cast<std::size_t>(d)] = element % tensor.size(d);
    element /= tensor.size(d);
  }
  return c10::str(at::IntArrayRef(place));
}

double difference_quotient(const std::function<std::vector<at::Tensor>()>& function,
                           const at::Tensor& tensor, std::int64_t element) {
  const at::NoGradGuard no_grad;
  const at::Tensor value = tensor.detach().view({-1})[element];
  const auto before = value.item<double>();
  value.fill_(before + kStep);
  const double above = weighted_sum(function()).item<double>();
  value.fill_(before - kStep);
  const double below = weighted_sum(function()).item<double>();
  value.fill_(before);
  return (above - below) / (2 * kStep);
}

}  // namespace

GradientFaults check_gradients(const std::function<std::vector<at::Tensor>()>& function,
                               const std::vector<Variable>& variables, std::size_t must_have) {
  std::vector<at::Tensor> tensors;
  for (const Variable& variable : variables) tensors.push_back(variable.tensor);
  const at::Tensor loss = weighted_sum(function());
  GradientFaults faults;
  if (!loss.requires_grad()) {
    faults.missing = "the outputs depend on no parameter and no input";
    return faults;
  }
  const std::vector<at::Tensor> gradients =
      torch::autograd::grad({loss}, tensors, {}, std::nullopt, false, /*allow_unused=*/true);
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const auto& [name, tensor] = variables[i];
    const bool is_missing =
        !gradients[i].defined() || gradients[i].count_nonzero().item<int64_t>() == 0;
    if (i < must_have && is_missing) {
      if (faults.missing.empty()) faults.missing = name + " receives no gradient";
      continue;
    }
    const at::Tensor gradient =
        gradients[i].defined() ? gradients[i].contiguous() : at::zeros_like(tensor);
    const std::int64_t stride = std::max<std::int64_t>(1, tensor.numel() / kMostElements);
    for (std::int64_t e = 0; e < tensor.numel() && faults.wrong.empty(); e += stride) {
      const double expected = difference_quotient(function, tensor, e);
      const auto given = gradient.view({-1})[e].item<double>();
      if (std::abs(expected - given) <= kTolerance * std::max(1.0, std::abs(expected))) continue;
      faults.wrong = "the gradient of " + name + " at " + position(tensor, e) + " is " +
                     std::to_string(given) + ", finite differences give " +
                     std::to_string(expected);
    }
  }
  return faults;
}

}  // namespace tenon
