#include "inject/adapted_layer.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace tenon {
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
      choice.is_saved_module = choice.is_saved_module || slot.saves_module();
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
  const auto type_of = [](const at::Tensor& tensor) { return tensor.scalar_type(); };
  if (!std::ranges::equal(choice.weights, weights_, {}, type_of, type_of)) {
    std::ranges::transform(weights_, std::back_inserter(choice.runs_in), type_of);
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
  if (mode.layers != nullptr) return mode.layers->run(*this, region, values, mode);
  return LayerRun(active_, region, values, mode).outputs();
}

std::vector<c10::IValue> AdaptedLayer::run_siblings(std::span<const SiblingRun> runs,
                                                    std::vector<c10::IValue> values,
                                                    const RunMode& mode) {
  const LayerType* layer_type = runs[0].layer->active_.layer_type;
  const bool together = mode.layers == nullptr && layer_type != nullptr &&
                        layer_type->has_siblings() &&
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
  std::deque<LayerRun> prepared;  // calls point into themselves, so they do not move
  std::vector<const LayerFacts*> facts;
  std::vector<const tenon_call*> calls;
  for (const SiblingRun& run : runs) {
    const LayerChoice& choice = run.layer->active_;
    calls.push_back(&prepared.emplace_back(choice, *run.program, values, mode).call());
    facts.push_back(choice.facts);
  }
  std::vector<at::Tensor> outputs = layer_type->forward_siblings(facts, calls);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    prepared[i].check_outputs("siblings", {&outputs[i], 1});
  }
  return {std::make_move_iterator(outputs.begin()), std::make_move_iterator(outputs.end())};
}

}  // namespace tenon
