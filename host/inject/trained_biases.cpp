#include "inject/trained_biases.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "graph/owned_tensors.h"
#include "graph/tensor_names.h"
#include "inject/saved_module.h"

namespace tenon {
namespace {

bool is_bias(std::string_view name) { return name == "bias" || name.ends_with(".bias"); }

std::vector<std::string> bias_names(const ModelTensor& tensor) {
  std::vector<std::string> names;
  for (const std::string& name : all_names(tensor)) {
    if (is_bias(name)) names.push_back(name);
  }
  return names;
}

// Whether a plugin wraps the layer's own child too, as it wraps an attention's out_proj: its
// parameters are named "base_layer.out_proj.<its own>".
bool wraps_child(const PlannedLayer& layer, const std::string& child) {
  const std::string prefix = "base_layer." + child + ".";
  return std::ranges::any_of(
      layer.parameters, [&](const ParameterSpec& spec) { return spec.name.starts_with(prefix); });
}

// PEFT puts a `base_layer` between each layer that it wraps and what the layer had before.
std::string peft_name(const std::string& name, const InjectionPlan& plan) {
  for (const PlannedLayer& layer : plan.layers) {
    const std::string& path = layer.facts->description().module_path;
    if (!name.starts_with(path + ".")) continue;
    std::string rest = name.substr(path.size() + 1);
    const std::size_t dot = rest.rfind('.');
    if (dot != std::string::npos && wraps_child(layer, rest.substr(0, dot))) {
      rest.insert(dot, ".base_layer");
    }
    return std::string(path).append(".base_layer.").append(rest);
  }
  return name;
}

// "<method>_only": the biases of what the method itself wraps, not of what has rows trained beside
// it; also those that a layer's caller adds.
std::set<std::int32_t> biases_of_layers(const ModelData& model, const InjectionPlan& plan) {
  std::set<std::int32_t> biases;
  const OwnedTensors owned(model.tensors);
  for (const PlannedLayer& layer : plan.layers) {
    if (layer.layer_type->method() != plan.config.method) continue;
    for (const OwnedTensor& one : owned.of(layer.facts->description().module_path)) {
      if (!is_bias(one.name)) continue;
      const std::size_t dot = one.name.rfind('.');
      if (dot == std::string::npos || wraps_child(layer, one.name.substr(0, dot))) {
        biases.insert(one.tensor);
      }
    }
  }
  return biases;
}

bool is_saved(const ModelData& model, const InjectionPlan& plan, const ModelTensor& tensor) {
  return std::ranges::any_of(
      plan.saved, [&](ModuleId id) { return tensor.name_in(model.tree.at(id).path).has_value(); });
}

}  // namespace

std::vector<TrainedBias> copy_biases(const ModelData& model, const InjectionPlan& plan) {
  std::vector<TrainedBias> biases;
  if (plan.config.bias == "none") return biases;
  const bool all = plan.config.bias == "all";
  const std::set<std::int32_t> of_layers = biases_of_layers(model, plan);
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    const ModelTensor& tensor = model.tensors[i];
    const auto number = static_cast<std::int32_t>(i);
    if (tensor.kind != ValueKind::kParameter || !tensor.tensor.is_floating_point()) continue;
    if (!all && !of_layers.contains(number)) continue;
    std::vector<std::string> names = bias_names(tensor);
    // Of tied names PEFT writes the adapted layer's.
    if (!all) std::erase_if(names, [&](const auto& name) { return peft_name(name, plan) == name; });
    if (names.empty() || is_saved(model, plan, tensor)) continue;
    TrainedBias bias{number, {}, tensor.tensor.detach().clone(at::MemoryFormat::Contiguous)};
    for (const std::string& name : names) bias.keys.push_back(peft_name(name, plan));
    bias.copy.requires_grad_(true);
    biases.push_back(std::move(bias));
  }
  if (biases.empty()) {
    throw Error({.stage = Stage::kInjection,
                 .message = "bias = \"" + plan.config.bias + "\" trains nothing: " +
                            (all ? "the model has" : "the adapted layers have") + " no bias",
                 .hint = "leave bias out",
                 .location = plan.config.location});
  }
  return biases;
}

std::vector<at::Tensor> biases_among(const std::vector<TrainedBias>& biases,
                                     const std::vector<std::int32_t>& tensors) {
  std::vector<at::Tensor> found(tensors.size());
  bool any = false;
  for (const TrainedBias& bias : biases) {
    const auto place = std::ranges::find(tensors, bias.tensor);
    if (place == tensors.end()) continue;
    found[static_cast<std::size_t>(place - tensors.begin())] = bias.copy;
    any = true;
  }
  return any ? found : std::vector<at::Tensor>();
}

std::vector<CallSite> bias_sites(const ModelData& model, const InjectionPlan& plan,
                                 const std::vector<TrainedBias>& biases) {
  if (biases.empty()) return {};
  std::set<std::int32_t> taken;  // nodes
  for (const PlannedLayer& layer : plan.layers) {
    for (const Subgraph& subgraph : layer.subgraphs) {
      taken.insert(subgraph.nodes.begin(), subgraph.nodes.end());
    }
  }
  const std::set<ModuleId> saved(plan.saved.begin(), plan.saved.end());
  std::vector<std::int32_t> tensors;
  tensors.reserve(biases.size());
  for (const TrainedBias& bias : biases) tensors.push_back(bias.tensor);
  return reading_sites(model, tensors, [&](std::int32_t node) {
    const auto& stack = model.graph.nodes[static_cast<std::size_t>(node)].module_stack;
    return !taken.contains(node) &&
           std::ranges::none_of(stack, [&](ModuleId id) { return saved.contains(id); });
  });
}

}  // namespace tenon
