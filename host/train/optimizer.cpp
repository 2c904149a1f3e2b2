#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

#include "base/error.h"

namespace tenon {

namespace {

// The fused operators walk the memory of their tensors and look at no strides, so all of a
// parameter's tensors must lie as the parameter does. Autograd sees to that, except for a parameter
// with gaps (a slice of a larger tensor).
at::Tensor laid_out_like(const at::Tensor& gradient, const at::Tensor& parameter) {
  if (gradient.layout() == at::kStrided && gradient.strides() == parameter.strides()) {
    return gradient;
  }
  at::Tensor copy = at::empty_like(parameter);
  copy.copy_(gradient.layout() == at::kStrided ? gradient : gradient.to_dense());
  return copy;
}

}  // namespace

Optimizer::Optimizer(std::vector<at::Tensor> parameters, const TrainConfig& config)
    : parameters_(std::move(parameters)),
      states_(parameters_.size()),
      config_(config),
      weight_decay_(config.weight_decay.value_or(config.optimizer == "adamw" ? 0.01 : 0.0)) {
  if (config.optimizer == "sgd" && config.nesterov &&
      (config.momentum <= 0 || config.dampening != 0)) {
    throw Error{{.stage = Stage::kConfig,
                 .message = "[train] nesterov needs a momentum above 0 and no dampening",
                 .hint = "set momentum, and leave dampening out",
                 .location = config.location}};
  }
}

void Optimizer::zero_grad() {
  for (at::Tensor& parameter : parameters_) parameter.mutable_grad() = at::Tensor();
}

void Optimizer::step() {
  const at::NoGradGuard no_grad;
  std::vector<FusedCall> calls;
  std::vector<std::pair<at::Tensor, at::Tensor>> write_back;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& gradient = parameters_[i].grad();
    if (!gradient.defined()) continue;
    at::Tensor dense = parameters_[i];
    if (!dense.is_non_overlapping_and_dense()) {
      dense = dense.contiguous();
      write_back.emplace_back(parameters_[i], dense);
    }
    if (states_[i].steps == 0) create_state(states_[i], dense);
    ++states_[i].steps;
    add_to_call(calls, dense, laid_out_like(gradient, dense), states_[i]);
  }
  for (const FusedCall& call : calls) {
    if (config_.optimizer == "sgd") {
      run_sgd(call);
    } else {
      run_adam(call);
    }
  }
  for (const auto& [parameter, updated] : write_back) parameter.copy_(updated);
}

void Optimizer::create_state(State& state, const at::Tensor& parameter) const {
  if (config_.optimizer == "sgd") {
    // The first step fills it with the gradient itself.
    if (config_.momentum != 0) state.momentum_buffer = at::empty_like(parameter);
    return;
  }
  state.exp_avg = at::zeros_like(parameter);
  state.exp_avg_sq = at::zeros_like(parameter);
  if (config_.amsgrad) state.max_exp_avg_sq = at::zeros_like(parameter);
}

void Optimizer::add_to_call(std::vector<FusedCall>& calls, const at::Tensor& parameter,
                            const at::Tensor& gradient, const State& state) const {
  FusedCall* call = nullptr;
  for (FusedCall& candidate : calls) {
    if (candidate.dtype == parameter.scalar_type() && candidate.device == parameter.device() &&
        candidate.steps == state.steps) {
      call = &candidate;
    }
  }
  if (call == nullptr) {
    call = &calls.emplace_back(FusedCall{
        parameter.scalar_type(), parameter.device(), state.steps, {}, {}, {}, {}, {}, {}});
  }
  call->parameters.push_back(parameter);
  call->gradients.push_back(gradient);
  if (state.exp_avg.defined()) call->exp_avgs.push_back(state.exp_avg);
  if (state.exp_avg_sq.defined()) call->exp_avg_sqs.push_back(state.exp_avg_sq);
  if (state.max_exp_avg_sq.defined()) call->max_exp_avg_sqs.push_back(state.max_exp_avg_sq);
  if (state.momentum_buffer.defined()) call->momentum_buffers.push_back(state.momentum_buffer);
}

void Optimizer::run_sgd(const FusedCall& call) const {
  const bool first_step = call.steps == 1 && config_.momentum != 0;
  at::_fused_sgd_(call.parameters, call.gradients, call.momentum_buffers, weight_decay_,
                  config_.momentum, config_.learning_rate, config_.dampening, config_.nesterov,
                  config_.maximize, first_step);
}

void Optimizer::run_adam(const FusedCall& call) const {
  // One count serves the whole list: the operator only reads it.
  const at::Tensor count = at::full({}, static_cast<double>(call.steps),
                                    at::TensorOptions(call.device).dtype(at::kFloat));
  const std::vector<at::Tensor> counts(call.parameters.size(), count);
  const auto& [beta1, beta2] = config_.betas;
  if (config_.optimizer == "adam") {
    at::_fused_adam_(call.parameters, call.gradients, call.exp_avgs, call.exp_avg_sqs,
                     call.max_exp_avg_sqs, counts, config_.learning_rate, beta1, beta2,
                     weight_decay_, config_.eps, config_.amsgrad, config_.maximize);
  } else {
    at::_fused_adamw_(call.parameters, call.gradients, call.exp_avgs, call.exp_avg_sqs,
                      call.max_exp_avg_sqs, counts, config_.learning_rate, beta1, beta2,
                      weight_decay_, config_.eps, config_.amsgrad, config_.maximize);
  }
}

}  // namespace tenon
