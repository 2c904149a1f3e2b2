#include "train/loss_scale.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <map>

namespace tenon {

LossScale::LossScale(const TrainConfig& config)
    : is_on_(config.autocast == "float16" && config.loss_scale > 0),
      value_(static_cast<float>(config.loss_scale)),
      window_(config.loss_scale_window) {}

at::Tensor LossScale::unscale(const std::vector<at::Tensor>& parameters) const {
  const at::NoGradGuard no_grad;
  std::map<at::ScalarType, std::vector<at::Tensor>> gradients;
  for (const at::Tensor& parameter : parameters) {
    at::Tensor& gradient = parameter.mutable_grad();
    if (!gradient.defined()) continue;
    if (gradient.layout() != at::kStrided) gradient = gradient.to_dense();
    gradients[gradient.scalar_type()].push_back(gradient);
  }
  if (gradients.empty()) return {};
  const at::TensorOptions options = gradients.begin()->second.front().options().dtype(at::kFloat);
  at::Tensor overflow = at::zeros({1}, options);
  // As GradScaler works it out, in double precision.
  const auto inverse = static_cast<float>(1.0 / static_cast<double>(value_));
  const at::Tensor factor = at::full({1}, inverse, options);
  for (auto& [dtype, list] : gradients) {
    at::_amp_foreach_non_finite_check_and_unscale_(list, overflow, factor);
  }
  return overflow[0];
}

void LossScale::update(bool is_overflow) {
  constexpr float kGrowth = 2;
  constexpr float kBackoff = 0.5F;
  if (is_overflow) {
    value_ *= kBackoff;
    good_steps_ = 0;
    return;
  }
  if (++good_steps_ < window_) return;
  good_steps_ = 0;
  if (std::isfinite(value_ * kGrowth)) value_ *= kGrowth;
}

std::vector<double> LossScale::state() const {
  return {static_cast<double>(value_), static_cast<double>(good_steps_)};
}

void LossScale::restore(const std::vector<double>& state) {
  value_ = static_cast<float>(state.at(0));
  good_steps_ = static_cast<std::int64_t>(state.at(1));
}

}  // namespace tenon
