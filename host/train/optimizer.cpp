#include "train/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_pinv.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
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

// The step in a second factor that brings the update s B A closest to the whole weight's gradient.
at::Tensor projected(const at::Tensor& gradient, const ParameterRole& role) {
  const at::Tensor a = role.down.reshape({role.down.size(0), -1});
  constexpr double kRidge = 1e-8;  // PEFT's
  const at::Tensor square = at::mm(a, a.t()) + kRidge * at::eye(a.size(0), a.options());
  const at::Tensor rows = gradient.reshape({gradient.size(0), -1});
  return (at::mm(rows, at::linalg_pinv(square)) / (role.scaling * role.scaling))
      .reshape(gradient.sizes());
}

}  // namespace

Optimizer::Optimizer(std::vector<at::Tensor> parameters, const TrainConfig& config,
                     std::vector<ParameterRole> roles)
    : parameters_(std::move(parameters)),
      states_(parameters_.size()),
      config_(config),
      roles_(std::move(roles)) {
  roles_.resize(parameters_.size());
  std::map<const void*, std::size_t> places;
  for (const at::Tensor& parameter : parameters_) {
    turns_.push_back(places[parameter.const_data_ptr()]++);
  }
  for (const ParameterRole& role : roles_) initial_rates_.push_back(rates(role));
  rates_ = initial_rates_;
  if (config.optimizer == "sgd" && config.nesterov &&
      (config.momentum <= 0 || config.dampening != 0)) {
    throw Error{{.stage = Stage::kConfig,
                 .message = "[train] nesterov needs a momentum above 0 and no dampening",
                 .hint = "set momentum, and leave dampening out",
                 .location = config.location}};
  }
}

// Groups with rates of their own (Hayou et al. 2024, arXiv:2402.12354; tenon/draft/groups.h).
Optimizer::Rates Optimizer::rates(const ParameterRole& role) const {
  if (!config_.fast_lr_ratio) {
    return {config_.learning_rate * role.learning_rate,
            config_.weight_decay.value_or(config_.optimizer == "adamw" ? 0.01 : 0.0) *
                role.weight_decay};
  }
  const double decay = config_.grouped_weight_decay * role.weight_decay;
  if (role.is_embedding) return {config_.embedding_lr * role.learning_rate, decay};
  if (!role.is_up) return {config_.learning_rate * role.learning_rate, decay};
  return {config_.learning_rate * *config_.fast_lr_ratio * role.learning_rate,
          role.decays ? decay : 0};
}

void Optimizer::zero_grad() {
  for (at::Tensor& parameter : parameters_) parameter.mutable_grad() = at::Tensor();
}

void Optimizer::change_rates(const std::function<double(double initial)>& rate) {
  for (std::size_t i = 0; i < rates_.size(); ++i) {
    rates_[i].learning_rate = rate(initial_rates_[i].learning_rate);
  }
}

void Optimizer::step() {
  const at::NoGradGuard no_grad;
  const auto last = std::ranges::max_element(turns_);
  for (std::size_t turn = 0; last != turns_.end() && turn <= *last; ++turn) step(turn);
}

void Optimizer::step(std::size_t turn) {
  std::vector<FusedCall> calls;
  std::vector<std::pair<at::Tensor, at::Tensor>> write_back;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& gradient = parameters_[i].grad();
    if (turns_[i] != turn || !gradient.defined()) continue;
    at::Tensor dense = parameters_[i];
    // Stepped in float32 and rounded once: PyTorch's fused SGD is wrong on half precision (2.13, on
    // the CPU), and Adam's eps underflows in float16.
    const bool is_half = dense.scalar_type() == at::kHalf || dense.scalar_type() == at::kBFloat16;
    if (is_half || !dense.is_non_overlapping_and_dense()) {
      dense = is_half ? dense.to(at::kFloat) : dense.contiguous();
      write_back.emplace_back(parameters_[i], dense);
    }
    if (states_[i].steps == 0) create_state(states_[i], dense);
    ++states_[i].steps;
    const bool is_projected = config_.second_factors_only && roles_[i].down.defined();
    const at::Tensor direction = is_projected ? projected(gradient, roles_[i]) : gradient;
    add_to_call(calls, rates_[i], dense, laid_out_like(direction.to(dense.scalar_type()), dense),
                states_[i]);
  }
  for (const FusedCall& call : calls) {
    if (config_.optimizer == "sgd") {
      run_sgd(call);
    } else if (config_.second_factors_only) {
      run_projected(call);
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

void Optimizer::add_to_call(std::vector<FusedCall>& calls, const Rates& rates,
                            const at::Tensor& parameter, const at::Tensor& gradient,
                            const State& state) const {
  FusedCall* call = nullptr;
  for (FusedCall& candidate : calls) {
    if (candidate.dtype == parameter.scalar_type() && candidate.device == parameter.device() &&
        candidate.steps == state.steps && candidate.rates == rates) {
      call = &candidate;
    }
  }
  if (call == nullptr) {
    call = &calls.emplace_back(FusedCall{
        rates, parameter.scalar_type(), parameter.device(), state.steps, {}, {}, {}, {}, {}, {}});
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
  at::_fused_sgd_(call.parameters, call.gradients, call.momentum_buffers, call.rates.weight_decay,
                  config_.momentum, call.rates.learning_rate, config_.dampening, config_.nesterov,
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
                     call.max_exp_avg_sqs, counts, call.rates.learning_rate, beta1, beta2,
                     call.rates.weight_decay, config_.eps, config_.amsgrad, config_.maximize);
  } else {
    at::_fused_adamw_(call.parameters, call.gradients, call.exp_avgs, call.exp_avg_sqs,
                      call.max_exp_avg_sqs, counts, call.rates.learning_rate, beta1, beta2,
                      call.rates.weight_decay, config_.eps, config_.amsgrad, config_.maximize);
  }
}

// As PEFT's for second factors: it adds eps before it corrects the second moment's bias, and decays
// what the step has made.
void Optimizer::run_projected(const FusedCall& call) const {
  const at::Tensor count = at::full({}, static_cast<double>(call.steps),
                                    at::TensorOptions(call.device).dtype(at::kFloat));
  const std::vector<at::Tensor> counts(call.parameters.size(), count);
  const auto& [beta1, beta2] = config_.betas;
  const double correction = 1 - std::pow(beta2, static_cast<double>(call.steps));
  at::_fused_adamw_(call.parameters, call.gradients, call.exp_avgs, call.exp_avg_sqs,
                    call.max_exp_avg_sqs, counts, call.rates.learning_rate, beta1, beta2, 0,
                    config_.eps / std::sqrt(correction), false, config_.maximize);
  const double rest = 1 - call.rates.learning_rate * call.rates.weight_decay;
  if (rest == 1) return;
  for (const at::Tensor& parameter : call.parameters) parameter.mul_(rest);
}

NamedTensors Optimizer::state() {
  NamedTensors named;
  at::Tensor steps = at::empty({static_cast<std::int64_t>(states_.size())}, at::kLong);
  for (std::size_t i = 0; i < states_.size(); ++i) {
    steps.mutable_data_ptr<std::int64_t>()[i] = states_[i].steps;
    for (const auto& [name, tensor] : states_[i].tensors()) {
      if (tensor->defined()) named.emplace_back(std::to_string(i) + "." + name, *tensor);
    }
  }
  named.emplace_back("steps", steps);
  return named;
}

void Optimizer::restore(const NamedTensors& state) {
  std::map<std::string, at::Tensor> tensors(state.begin(), state.end());
  const auto steps = tensors.find("steps");
  const auto count = static_cast<std::int64_t>(states_.size());
  if (steps == tensors.end() || steps->second.scalar_type() != at::kLong ||
      steps->second.sizes() != at::IntArrayRef({count})) {
    throw Error({.stage = Stage::kAdapter,
                 .message = "the optimizer's state is not that of " + std::to_string(count) +
                            " parameters"});
  }
  for (std::size_t i = 0; i < states_.size(); ++i) {
    states_[i].steps = steps->second.const_data_ptr<std::int64_t>()[i];
    for (const auto& [name, own] : states_[i].tensors()) {
      const auto found = tensors.find(std::to_string(i) + "." + name);
      if (found == tensors.end()) continue;
      if (found->second.sizes() != parameters_[i].sizes()) {
        throw Error({.stage = Stage::kAdapter,
                     .message = "the optimizer's state `" + found->first +
                                "` has another shape than its parameter"});
      }
      // As the optimizer lays its own out.
      *own = at::empty_like(parameters_[i].detach(), found->second.scalar_type());
      own->copy_(found->second);
    }
  }
}

}  // namespace tenon
