#include "inject/adapted_layer.h"

#include <ATen/core/grad_mode.h>

#include "base/error.h"

namespace tenon {
namespace {

std::vector<tenon_tensor> handles_of(const std::vector<at::Tensor>& tensors) {
  std::vector<tenon_tensor> handles;
  handles.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) handles.push_back(to_handle(tensor));
  return handles;
}

// Runs the frozen region for the plugin.
class BaseContext : public tenon_call_context {
 public:
  BaseContext(const RegionProgram& region, const std::vector<at::Tensor>& weights,
              const std::vector<c10::IValue>& values, const RunMode& mode)
      : region_(region), weights_(weights), values_(values), mode_(mode) {}

  std::vector<at::Tensor> run_base(
      std::span<const tenon_tensor> inputs,
      std::span<const std::pair<std::uint32_t, at::Tensor>> replaced) override {
    if (inputs.data() != nullptr && inputs.size() != region_.n_inputs) {
      throw Error({.stage = Stage::kPlugins,
                   .message = "run_base got " + std::to_string(inputs.size()) +
                              " inputs, the base has " + std::to_string(region_.n_inputs)});
    }
    std::vector<c10::IValue> arguments;
    arguments.reserve(values_.size() + region_.weight_numbers.size());
    for (std::size_t i = 0; i < region_.n_inputs; ++i) {
      arguments.push_back(inputs.data() == nullptr ? values_[i]
                                                   : c10::IValue(from_handle(inputs[i])));
    }
    for (std::size_t i = 0; i < region_.weight_numbers.size(); ++i) {
      arguments.emplace_back(weight(i, replaced));
    }
    arguments.insert(arguments.end(),
                     values_.begin() + static_cast<std::ptrdiff_t>(region_.n_inputs),
                     values_.end());
    std::vector<at::Tensor> outputs;
    for (c10::IValue& value : region_.program.run(std::move(arguments), mode_)) {
      outputs.push_back(std::move(value).toTensor());
    }
    return outputs;
  }

 private:
  at::Tensor weight(std::size_t i,
                    std::span<const std::pair<std::uint32_t, at::Tensor>> replaced) const {
    const std::int32_t number = region_.weight_numbers[i];
    if (number < 0) return region_.fixed[i];
    for (const auto& [which, tensor] : replaced) {
      if (which == static_cast<std::uint32_t>(number)) return tensor;
    }
    return weights_[static_cast<std::size_t>(number)];
  }

  const RegionProgram& region_;
  const std::vector<at::Tensor>& weights_;
  const std::vector<c10::IValue>& values_;
  const RunMode& mode_;
};

}  // namespace

AdaptedLayer::AdaptedLayer(const LayerType& layer_type, std::shared_ptr<const LayerFacts> facts,
                           std::vector<at::Tensor> weights, AdapterStart start,
                           std::string adapter_name, double scaling, double dropout)
    : layer_type_(&layer_type),
      facts_(std::move(facts)),
      weights_(std::move(weights)),
      start_(std::move(start)),
      adapter_name_(std::move(adapter_name)),
      weight_handles_(handles_of(weights_)),
      parameter_handles_(handles_of(start_.parameters)),
      adapters_{&adapter_} {
  for (const auto& [number, residual] : start_.residuals) weights_[number] = residual;
  adapter_.struct_size = sizeof adapter_;
  adapter_.n_params = static_cast<std::uint32_t>(start_.parameters.size());
  adapter_.name = adapter_name_.c_str();
  adapter_.params = parameter_handles_.data();
  adapter_.scaling = scaling;
  adapter_.dropout = dropout;
  adapter_.state = start_.state.get();
}

std::vector<c10::IValue> AdaptedLayer::run(const RegionProgram& region,
                                           std::vector<c10::IValue> values,
                                           const RunMode& mode) const {
  BaseContext context(region, weights_, values, mode);
  std::vector<tenon_tensor> inputs;
  inputs.reserve(region.n_inputs);
  for (std::size_t i = 0; i < region.n_inputs; ++i)
    inputs.push_back(to_handle(values[i].toTensor()));

  tenon_call call{};
  call.struct_size = sizeof call;
  if (mode.training) call.flags |= TENON_TRAINING;
  if (at::GradMode::is_enabled()) call.flags |= TENON_GRAD_ENABLED;
  call.inputs = inputs.data();
  call.n_inputs = static_cast<std::uint32_t>(inputs.size());
  call.weights = weight_handles_.data();
  call.n_weights = static_cast<std::uint32_t>(weight_handles_.size());
  call.adapters = adapters_;
  call.n_adapters = 1;
  call.n_outputs = facts_->n_outputs;
  call.context = &context;

  std::vector<at::Tensor> outputs =
      layer_type_->has_forward() ? layer_type_->forward(*facts_, call) : run_merged(call);
  return {std::make_move_iterator(outputs.begin()), std::make_move_iterator(outputs.end())};
}

// A layer type without a forward: the base runs on its differentiable merged weights.
std::vector<at::Tensor> AdaptedLayer::run_merged(const tenon_call& call) const {
  std::vector<std::pair<std::uint32_t, at::Tensor>> replaced;
  for (std::uint32_t i = 0; i < call.n_weights; ++i) {
    at::Tensor merged = layer_type_->merged_weight(*facts_, call, i);
    if (merged.defined()) replaced.emplace_back(i, std::move(merged));
  }
  return call.context->run_base({}, replaced);
}

}  // namespace tenon
