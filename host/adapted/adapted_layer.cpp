#include "adapted/adapted_layer.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>

#include "base/error.h"

namespace tenon {
AdaptedLayer::AdaptedLayer(ModuleId module, std::string path, std::vector<std::string> weight_names,
                           std::vector<at::Tensor> weights)
    : module_(module),
      path_(std::move(path)),
      weight_names_(std::move(weight_names)),
      weights_(std::move(weights)),
      merged_{{}, std::vector<at::Tensor>(weights_.size())} {}

const LayerAdapter* AdaptedLayer::find(const std::string& adapter) const {
  const auto found = slots_.find(adapter);
  return found == slots_.end() ? nullptr : found->second.get();
}

void AdaptedLayer::exchange(const std::string& adapter, Slots::node_type& node) noexcept {
  Slots::node_type before = slots_.extract(adapter);
  if (!node.empty()) slots_.insert(std::move(node));
  node = std::move(before);
}

void AdaptedLayer::add_to(LayerChoice& choice,
                          const std::shared_ptr<const LayerAdapter>& shared) const {
  const LayerAdapter& layer_adapter = *shared;
  choice.layer_adapters.push_back(shared);
  for (std::size_t i = 0; i < layer_adapter.weights().size(); ++i) {
    if (!layer_adapter.weights()[i].defined()) continue;
    if (layer_adapter.layer_type() == nullptr) {
      choice.weights[i] = layer_adapter.weights()[i];
      choice.is_saved_module = choice.is_saved_module || layer_adapter.saves_module();
    } else {
      // The base that this adapter started from: what it took away is missing from any other base.
      const at::NoGradGuard no_grad;
      choice.weights[i] = choice.weights[i].is_same(weights_[i])
                              ? layer_adapter.weights()[i]
                              : choice.weights[i] + (layer_adapter.weights()[i] - weights_[i]);
    }
  }
  if (layer_adapter.layer_type() == nullptr) return;
  if (choice.layer_type != nullptr && choice.layer_type != layer_adapter.layer_type()) {
    throw Error({.stage = Stage::kInjection,
                 .message = "two adapters on `" + path_ + "` are made by different plugins, " +
                            choice.layer_type->id() + " and " + layer_adapter.layer_type()->id() +
                            ", so they cannot run at once",
                 .hint = "set one of them active at a time"});
  }
  choice.layer_type = layer_adapter.layer_type();
  if (choice.facts == nullptr) choice.facts = &layer_adapter.facts();
  choice.adapters.push_back(&layer_adapter.table());
}

LayerChoice AdaptedLayer::choose(std::span<const std::string> adapters) const {
  LayerChoice choice(weights_);
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    if (merged_.weights[i].defined()) choice.weights[i] = merged_.weights[i];
  }
  for (const std::string& name : adapters) {
    if (std::ranges::count(merged_.adapters, name) > 0) continue;
    if (const auto layer_adapter = slots_.find(name); layer_adapter != slots_.end())
      add_to(choice, layer_adapter->second);
  }
  const auto type_of = [](const at::Tensor& tensor) { return tensor.scalar_type(); };
  if (!std::ranges::equal(choice.weights, weights_, {}, type_of, type_of)) {
    std::ranges::transform(weights_, std::back_inserter(choice.runs_in), type_of);
  }
  return choice;
}

std::vector<c10::IValue> AdaptedLayer::run(const SubgraphProgram& subgraph,
                                           std::vector<c10::IValue> values,
                                           const RunMode& mode) const {
  return mode.layers->run(*this, subgraph, values, mode);
}

std::vector<c10::IValue> AdaptedLayer::run_siblings(std::span<const SiblingRun> runs,
                                                    std::vector<c10::IValue> values,
                                                    const RunMode& mode) {
  const auto type_of = [&](const SiblingRun& run) -> const LayerType* {
    const LayerChoice* choice = mode.layers->choice(*run.layer);
    return choice == nullptr ? nullptr : choice->layer_type;
  };
  const LayerType* layer_type = type_of(runs[0]);
  const bool together =
      layer_type != nullptr && layer_type->has_siblings() &&
      std::ranges::all_of(runs, [&](const SiblingRun& run) { return type_of(run) == layer_type; });
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
    const LayerChoice& choice = *mode.layers->choice(*run.layer);
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
