#include "adapted/layer_run.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/StringUtil.h>

#include <iterator>
#include <string>

#include "base/error.h"
#include "plugin/plugin_failure.h"

namespace tenon {

LayerChoice::LayerChoice(std::vector<at::Tensor> base)
    : weights(std::move(base)), weight_handles(handles_of(weights)) {}

LayerRun::LayerRun(const LayerChoice& choice, const SubgraphProgram& subgraph,
                   const std::vector<c10::IValue>& values, const RunMode& mode, KeptBase* kept,
                   const std::vector<const tenon_adapter*>* adapters)
    : choice_(choice), subgraph_(subgraph), values_(values), mode_(mode), kept_(kept) {
  // A module saved whole trains its statistics too, as in PEFT.
  if (choice.is_saved_module) mode_.batch_norm_training = true;
  inputs_.reserve(subgraph.n_inputs);
  for (std::size_t i = 0; i < subgraph.n_inputs; ++i) {
    inputs_.push_back(to_handle(values[i].toTensor()));
  }
  for (std::size_t i = 0; i < choice.runs_in.size(); ++i) {
    narrowed_.push_back(choice.weights[i].to(choice.runs_in[i]));
  }
  narrowed_handles_ = handles_of(narrowed_);
  const std::vector<tenon_tensor>& weights =
      narrowed_.empty() ? choice.weight_handles : narrowed_handles_;
  if (adapters == nullptr) adapters = &choice.adapters;
  call_.struct_size = sizeof call_;
  if (mode.training) call_.flags |= TENON_CALL_TRAINING;
  if (at::GradMode::is_enabled()) call_.flags |= TENON_CALL_GRAD_ENABLED;
  call_.inputs = inputs_.data();
  call_.n_inputs = static_cast<std::uint32_t>(inputs_.size());
  call_.weights = weights.data();
  call_.n_weights = static_cast<std::uint32_t>(weights.size());
  call_.adapters = adapters->data();
  call_.n_adapters = static_cast<std::uint32_t>(adapters->size());
  call_.n_outputs = subgraph.n_outputs;
  call_.context = this;
}

std::vector<c10::IValue> LayerRun::outputs() {
  if (choice_.layer_type == nullptr) return run_own_base();
  if (!choice_.layer_type->has_forward()) return run_on_merged();
  std::vector<at::Tensor> outputs = choice_.layer_type->forward(*choice_.facts, call_);
  check_outputs("forward", outputs);
  return {std::make_move_iterator(outputs.begin()), std::make_move_iterator(outputs.end())};
}

std::vector<at::Tensor> LayerRun::run_base(std::span<const tenon_tensor> inputs,
                                           Replaced replaced) {
  const bool is_own = inputs.data() == nullptr && replaced.empty();
  if (inputs.data() != nullptr && inputs.size() != subgraph_.n_inputs) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "run_base got " + std::to_string(inputs.size()) +
                            " inputs, the base has " + std::to_string(subgraph_.n_inputs)});
  }
  std::vector<at::Tensor> outputs;
  for (c10::IValue& value : is_own ? run_own_base() : run(inputs, replaced)) {
    outputs.push_back(std::move(value).toTensor());
  }
  return outputs;
}

void LayerRun::check_outputs(const char* function, std::span<const at::Tensor> outputs) const {
  const LayerType& layer_type = *choice_.layer_type;
  const std::string fault = subgraph_.contract->find_fault(values_, outputs, layer_type.resizes(),
                                                           [&] { return run_base_aside(); });
  if (fault.empty()) return;
  throw_bug({Stage::kPlugins, *choice_.facts, layer_type.plugin(), function},
            layer_type.id() + ": " + function + ": " + fault);
}

// To see what it gives: nothing of what the run does after it may be another for it.
std::vector<c10::IValue> LayerRun::run_base_aside() const {
  const at::NoGradGuard no_grad;
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const at::Tensor state = generator.get_state();
  std::vector<c10::IValue> outputs = run({}, {}, RunMode{});
  generator.set_state(state);
  return outputs;
}

std::vector<c10::IValue> LayerRun::run_own_base() {
  if (kept_ == nullptr) {
    std::vector<c10::IValue> outputs = run({}, {});
    if (choice_.layer_type != nullptr) subgraph_.contract->learn(values_, outputs);
    return outputs;
  }
  const bool with_gradient = at::GradMode::is_enabled();
  if (!kept_->outputs) *kept_ = {run({}, {}), with_gradient};
  return kept_->with_gradient == with_gradient ? *kept_->outputs : run({}, {});
}

std::vector<c10::IValue> LayerRun::run(std::span<const tenon_tensor> inputs,
                                       Replaced replaced) const {
  return run(inputs, replaced, mode_);
}

std::vector<c10::IValue> LayerRun::run(std::span<const tenon_tensor> inputs, Replaced replaced,
                                       const RunMode& mode) const {
  std::vector<c10::IValue> arguments;
  arguments.reserve(values_.size() + subgraph_.weight_numbers.size());
  for (std::size_t i = 0; i < subgraph_.n_inputs; ++i) {
    arguments.push_back(inputs.data() == nullptr ? values_[i]
                                                 : c10::IValue(from_handle(inputs[i])));
  }
  for (std::size_t i = 0; i < subgraph_.weight_numbers.size(); ++i) {
    arguments.emplace_back(weight(i, replaced));
  }
  arguments.insert(arguments.end(),
                   values_.begin() + static_cast<std::ptrdiff_t>(subgraph_.n_inputs),
                   values_.end());
  return subgraph_.program.run(std::move(arguments), mode);
}

// A layer type without a forward: the base runs on its differentiable merged weights.
std::vector<c10::IValue> LayerRun::run_on_merged() {
  const LayerType& layer_type = *choice_.layer_type;
  tenon_call weights_only = call_;
  weights_only.inputs = nullptr;
  weights_only.n_inputs = 0;
  weights_only.context = nullptr;
  std::vector<std::pair<std::uint32_t, at::Tensor>> replaced;
  for (std::uint32_t i = 0; i < call_.n_weights; ++i) {
    at::Tensor merged = layer_type.merged_weight(*choice_.facts, weights_only, i);
    if (!merged.defined()) continue;
    const at::Tensor& own = from_handle(call_.weights[i]);
    if (merged.sizes() != own.sizes() || merged.scalar_type() != own.scalar_type()) {
      throw_bug({Stage::kPlugins, *choice_.facts, layer_type.plugin(), "merged_weight"},
                layer_type.id() + ": merged_weight gave " +
                    choice_.facts->description().weights[i].name + " as " +
                    c10::str(merged.scalar_type(), " ", merged.sizes()) + ", it is " +
                    c10::str(own.scalar_type(), " ", own.sizes()));
    }
    replaced.emplace_back(i, std::move(merged));
  }
  return run({}, replaced);
}

at::Tensor LayerRun::weight(std::size_t i, Replaced replaced) const {
  const std::int32_t number = subgraph_.weight_numbers[i];
  if (number < 0) return subgraph_.fixed[i];
  for (const auto& [which, tensor] : replaced) {
    if (which == static_cast<std::uint32_t>(number)) return tensor;
  }
  return (narrowed_.empty() ? choice_.weights : narrowed_)[static_cast<std::size_t>(number)];
}

}  // namespace tenon
