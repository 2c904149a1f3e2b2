#include "inject/adapted_layer.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

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
    std::vector<at::Tensor> outputs;
    for (c10::IValue& value : run(inputs, replaced)) {
      outputs.push_back(std::move(value).toTensor());
    }
    return outputs;
  }

  std::vector<c10::IValue> run(
      std::span<const tenon_tensor> inputs,
      std::span<const std::pair<std::uint32_t, at::Tensor>> replaced) const {
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
    return region_.program.run(std::move(arguments), mode_);
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

// One call of a plugin: everything that it points to stays as long as this does, and in its place.
class PluginRun {
 public:
  PluginRun(const LayerChoice& choice, const RegionProgram& region,
            const std::vector<c10::IValue>& values, const RunMode& mode)
      : base_(region, choice.weights, values, mode) {
    inputs_.reserve(region.n_inputs);
    for (std::size_t i = 0; i < region.n_inputs; ++i) {
      inputs_.push_back(to_handle(values[i].toTensor()));
    }
    call_.struct_size = sizeof call_;
    if (mode.training) call_.flags |= TENON_TRAINING;
    if (at::GradMode::is_enabled()) call_.flags |= TENON_GRAD_ENABLED;
    call_.inputs = inputs_.data();
    call_.n_inputs = static_cast<std::uint32_t>(inputs_.size());
    call_.weights = choice.weight_handles.data();
    call_.n_weights = static_cast<std::uint32_t>(choice.weight_handles.size());
    call_.adapters = choice.adapters.data();
    call_.n_adapters = static_cast<std::uint32_t>(choice.adapters.size());
    call_.n_outputs = region.n_outputs;
    call_.context = &base_;
  }
  PluginRun(const PluginRun&) = delete;
  PluginRun& operator=(const PluginRun&) = delete;

  const tenon_call& call() const { return call_; }
  const BaseContext& base() const { return base_; }

 private:
  BaseContext base_;
  std::vector<tenon_tensor> inputs_;
  tenon_call call_{};
};

// A layer type without a forward: the base runs on its differentiable merged weights.
std::vector<at::Tensor> run_on_merged(const LayerChoice& choice, const tenon_call& call) {
  std::vector<std::pair<std::uint32_t, at::Tensor>> replaced;
  for (std::uint32_t i = 0; i < call.n_weights; ++i) {
    at::Tensor merged = choice.layer_type->merged_weight(*choice.facts, call, i);
    if (merged.defined()) replaced.emplace_back(i, std::move(merged));
  }
  return call.context->run_base({}, replaced);
}

}  // namespace

LayerChoice::LayerChoice(std::vector<at::Tensor> base)
    : weights(std::move(base)), weight_handles(handles_of(weights)) {}

AdaptedLayer::AdaptedLayer(std::string path, std::vector<std::string> weight_names,
                           std::vector<at::Tensor> weights)
    : path_(std::move(path)),
      weight_names_(std::move(weight_names)),
      weights_(std::move(weights)),
      merged_tensors_(weights_.size()),
      active_(weights_) {}

const AdapterSlot* AdaptedLayer::find(const std::string& adapter) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const AdapterSlot* slot) {
    return slot->adapter() == adapter;
  });
  return found == slots_.end() ? nullptr : *found;
}

void AdaptedLayer::remove(const AdapterSlot& slot) { std::erase(slots_, &slot); }

void AdaptedLayer::add_to(LayerChoice& choice, const AdapterSlot& slot) const {
  for (std::size_t i = 0; i < slot.weights().size(); ++i) {
    if (!slot.weights()[i].defined()) continue;
    if (slot.layer_type() == nullptr) {
      choice.weights[i] = slot.weights()[i];
      choice.is_saved_module = true;
    } else {
      // The base that this adapter started from: what it took away is missing from any other base.
      const at::NoGradGuard no_grad;
      choice.weights[i] = choice.weights[i].is_same(weights_[i])
                              ? slot.weights()[i]
                              : choice.weights[i] + (slot.weights()[i] - weights_[i]);
    }
  }
  if (slot.layer_type() == nullptr) return;
  if (choice.layer_type != nullptr && choice.layer_type != slot.layer_type()) {
    throw Error({.stage = Stage::kInjection,
                 .message = "two adapters on `" + path_ + "` are made by different plugins, " +
                            choice.layer_type->id() + " and " + slot.layer_type()->id() +
                            ", so they cannot run at once",
                 .hint = "set one of them active at a time"});
  }
  choice.layer_type = slot.layer_type();
  if (choice.facts == nullptr) choice.facts = &slot.facts();
  choice.adapters.push_back(&slot.table());
}

LayerChoice AdaptedLayer::choose(std::span<const std::string> adapters) const {
  LayerChoice choice(weights_);
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    if (merged_tensors_[i].defined()) choice.weights[i] = merged_tensors_[i];
  }
  for (const std::string& name : adapters) {
    if (std::find(merged_.begin(), merged_.end(), name) != merged_.end()) continue;
    if (const AdapterSlot* slot = find(name)) add_to(choice, *slot);
  }
  return choice;
}

void AdaptedLayer::set_merged(std::vector<std::string> adapters, std::vector<at::Tensor> weights) {
  merged_ = std::move(adapters);
  merged_tensors_ = std::move(weights);
  merged_tensors_.resize(weights_.size());
}

std::vector<c10::IValue> AdaptedLayer::run(const RegionProgram& region,
                                           std::vector<c10::IValue> values,
                                           const RunMode& mode) const {
  const LayerChoice& choice = active_;
  RunMode layer_mode = mode;
  // A module saved whole trains its statistics too, as in PEFT.
  if (choice.is_saved_module) layer_mode.batch_norm_training = true;
  PluginRun run(choice, region, values, layer_mode);
  if (choice.layer_type == nullptr) return run.base().run({}, {});
  const LayerType& layer_type = *choice.layer_type;
  std::vector<at::Tensor> outputs = layer_type.has_forward()
                                        ? layer_type.forward(*choice.facts, run.call())
                                        : run_on_merged(choice, run.call());
  return {std::make_move_iterator(outputs.begin()), std::make_move_iterator(outputs.end())};
}

std::vector<c10::IValue> AdaptedLayer::run_siblings(std::span<const SiblingRun> runs,
                                                    std::vector<c10::IValue> values,
                                                    const RunMode& mode) {
  const LayerType* layer_type = runs[0].layer->active_.layer_type;
  const bool together = layer_type != nullptr && layer_type->has_siblings() &&
                        std::all_of(runs.begin(), runs.end(), [&](const SiblingRun& run) {
                          return run.layer->active_.layer_type == layer_type;
                        });
  if (!together) {
    std::vector<c10::IValue> outputs;
    for (const SiblingRun& run : runs) {
      outputs.push_back(std::move(run.layer->run(*run.program, values, mode)[0]));
    }
    return outputs;
  }
  std::deque<PluginRun> prepared;  // calls point into themselves, so they do not move
  std::vector<const LayerFacts*> facts;
  std::vector<const tenon_call*> calls;
  for (const SiblingRun& run : runs) {
    const LayerChoice& choice = run.layer->active_;
    calls.push_back(&prepared.emplace_back(choice, *run.program, values, mode).call());
    facts.push_back(choice.facts);
  }
  std::vector<at::Tensor> outputs = layer_type->forward_siblings(facts, calls);
  return {std::make_move_iterator(outputs.begin()), std::make_move_iterator(outputs.end())};
}

}  // namespace tenon
