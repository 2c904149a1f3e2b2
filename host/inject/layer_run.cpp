#include "inject/layer_run.h"

#include <ATen/core/grad_mode.h>

#include <iterator>
#include <string>

#include "base/error.h"

namespace tenon {

LayerChoice::LayerChoice(std::vector<at::Tensor> base)
    : weights(std::move(base)), weight_handles(handles_of(weights)) {}

LayerRun::LayerRun(const LayerChoice& choice, const RegionProgram& region,
                   const std::vector<c10::IValue>& values, const RunMode& mode, KeptBase* kept,
                   const std::vector<const tenon_adapter*>* adapters)
    : choice_(choice), region_(region), values_(values), mode_(mode), kept_(kept) {
  // A module saved whole trains its statistics too, as in PEFT.
  if (choice.is_saved_module) mode_.batch_norm_training = true;
  inputs_.reserve(region.n_inputs);
  for (std::size_t i = 0; i < region.n_inputs; ++i) {
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
  if (mode.training) call_.flags |= TENON_TRAINING;
  if (at::GradMode::is_enabled()) call_.flags |= TENON_GRAD_ENABLED;
  call_.inputs = inputs_.data();
  call_.n_inputs = static_cast<std::uint32_t>(inputs_.size());
  call_.weights = weights.data();
  call_.n_weights = static_cast<std::uint32_t>(weights.size());
  call_.adapters = adapters->data();
  call_.n_adapters = static_cast<std::uint32_t>(adapters->size());
  call_.n_outputs = region.n_outputs;
  call_.context = this;
}

std::vector<c10::IValue> LayerRun::outputs() {
  if (choice_.layer_type == nullptr) return run_own_base();
  std::vector<at::Tensor> outputs = choice_.layer_type->has_forward()
                                        ? choice_.layer_type->forward(*choice_.facts, call_)
                                        : run_on_merged();
  return {std::make_move_iterator(outputs.begin()), std::make_move_iterator(outputs.end())};
}

std::vector<at::Tensor> LayerRun::run_base(std::span<const tenon_tensor> inputs,
                                           Replaced replaced) {
  const bool is_own = inputs.data() == nullptr && replaced.empty();
  if (inputs.data() != nullptr && inputs.size() != region_.n_inputs) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "run_base got " + std::to_string(inputs.size()) +
                            " inputs, the base has " + std::to_string(region_.n_inputs)});
  }
  std::vector<at::Tensor> outputs;
  for (c10::IValue& value : is_own ? run_own_base() : run(inputs, replaced)) {
    outputs.push_back(std::move(value).toTensor());
  }
  return outputs;
}

std::vector<c10::IValue> LayerRun::run_own_base() {
  if (kept_ == nullptr) return run({}, {});
  const bool with_gradient = at::GradMode::is_enabled();
  if (!kept_->outputs) *kept_ = {run({}, {}), with_gradient};
  return kept_->with_gradient == with_gradient ? *kept_->outputs : run({}, {});
}

std::vector<c10::IValue> LayerRun::run(std::span<const tenon_tensor> inputs,
                                       Replaced replaced) const {
  std::vector<c10::IValue> arguments;
  arguments.reserve(values_.size() + region_.weight_numbers.size());
  for (std::size_t i = 0; i < region_.n_inputs; ++i) {
    arguments.push_back(inputs.data() == nullptr ? values_[i]
                                                 : c10::IValue(from_handle(inputs[i])));
  }
  for (std::size_t i = 0; i < region_.weight_numbers.size(); ++i) {
    arguments.emplace_back(weight(i, replaced));
  }
  arguments.insert(arguments.end(), values_.begin() + static_cast<std::ptrdiff_t>(region_.n_inputs),
                   values_.end());
  return region_.program.run(std::move(arguments), mode_);
}

// A layer type without a forward: the base runs on its differentiable merged weights.
std::vector<at::Tensor> LayerRun::run_on_merged() {
  std::vector<std::pair<std::uint32_t, at::Tensor>> replaced;
  for (std::uint32_t i = 0; i < call_.n_weights; ++i) {
    at::Tensor merged = choice_.layer_type->merged_weight(*choice_.facts, call_, i);
    if (merged.defined()) replaced.emplace_back(i, std::move(merged));
  }
  return run_base({}, replaced);
}

at::Tensor LayerRun::weight(std::size_t i, Replaced replaced) const {
  const std::int32_t number = region_.weight_numbers[i];
  if (number < 0) return region_.fixed[i];
  for (const auto& [which, tensor] : replaced) {
    if (which == static_cast<std::uint32_t>(number)) return tensor;
  }
  return (narrowed_.empty() ? choice_.weights : narrowed_)[static_cast<std::size_t>(number)];
}

}  // namespace tenon
