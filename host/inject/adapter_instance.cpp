#include "inject/adapter_instance.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "graph/parameter_init.h"
#include "graph/tensor_names.h"
#include "inject/saved_module.h"
#include "inject/trained_biases.h"
#include "plan/tied_layers.h"
#include "plan/token_rows.h"
#include "targets/module_names.h"

namespace tenon {
namespace {

// The parameters of a layer that is placed already.
const std::vector<at::Tensor>& parameters_of(ModuleId module, const AdapterInstance& adapter) {
  return std::ranges::find(adapter.layer_adapters, module,
                           [](const PlacedLayerAdapter& placed) { return placed.site.module; })
      ->layer_adapter->parameters();
}

// With the parameters of another layer.
AdapterInit follow_adapter(const PlannedLayer& planned, const AdapterInstance& adapter) {
  AdapterInit start;
  start.parameters = parameters_of(planned.shares_parameters_with, adapter);
  const tenon_setup setup{*planned.options, planned.parameters, {}};
  start.state = planned.layer_type->prepare(planned.facts, setup);
  return start;
}

// Tensors of their own in the memory of the owner's, each with its own gradient, as PEFT ties them:
// an optimizer steps both, one after the other.
std::vector<at::Tensor> tied_parameters(const PlannedLayer& planned,
                                        const AdapterInstance& adapter) {
  if (planned.tied_to == kNoModule) return {};
  const std::vector<at::Tensor>& owned = parameters_of(planned.tied_to, adapter);
  std::vector<at::Tensor> tied(planned.tied.size());
  for (std::size_t i = 0; i < tied.size(); ++i) {
    if (!planned.tied[i]) continue;
    const at::Tensor tensor = owned[planned.tied[i]->number].detach();
    tied[i] = planned.tied[i]->transposed ? tensor.t() : tensor;
  }
  return tied;
}

void place_layer(const ModelData& model, const PlannedLayer& planned,
                 const at::Generator& generator, const std::vector<TrainedBias>& biases,
                 bool from_file, SharedTensors& shared, AdapterInstance& adapter) {
  const auto known = adapter.given.find(planned.facts->description().module_path);
  GivenStart given = known == adapter.given.end() ? GivenStart() : known->second;
  given.from_file = from_file;
  std::vector<at::Tensor> weights;
  for (const std::int32_t tensor : planned.tensors) {
    weights.push_back(model.tensors[static_cast<std::size_t>(tensor)].tensor);
  }
  AdapterInit start = planned.shares_parameters_with == kNoModule
                          ? start_adapter(planned, weights, generator, shared,
                                          tied_parameters(planned, adapter), given)
                          : follow_adapter(planned, adapter);
  for (std::size_t i = 0; i < planned.parameters.size(); ++i) {
    const ParameterSpec& spec = planned.parameters[i];
    // A shared one lies outside all modules and is added once.
    if (spec.is_shared() && adapter.has_shared(spec.shared_key)) continue;
    if (planned.shares_parameters_with != kNoModule) continue;
    adapter.tensors.push_back({spec.is_shared() ? "" : planned.facts->description().module_path,
                               spec.is_shared() ? spec.shared_key : spec.file_name,
                               start.parameters[i], spec.trainable()});
    adapter.tensors.back().is_saved = spec.is_saved();
    if (planned.layer_type->method() == kTokenMethod) {
      adapter.tensors.back().file_module = rows_in_file(model, adapter.config, planned.module);
    }
  }
  LayerAdapter::Parts parts;
  parts.adapter = adapter.config.name;
  parts.layer_type = planned.layer_type;
  parts.facts = planned.facts;
  parts.parameters = std::move(start.parameters);
  parts.scaling = planned.scaling;
  parts.state = std::move(start.state);
  parts.unmergeable = planned.unmergeable;
  if (planned.changes_alike) parts.merges_with = planned.tied_to;
  parts.weights = biases_among(biases, planned.tensors);
  if (!start.residuals.empty()) parts.weights.resize(weights.size());
  for (auto& [number, residual] : start.residuals) parts.weights[number] = std::move(residual);
  adapter.layer_adapters.push_back({{planned.module, planned.tensors, planned.subgraphs},
                                    std::make_shared<const LayerAdapter>(std::move(parts))});
}

// Biases outside the adapted layers run where the base's did.
void place_biases(const ModelData& model, const InjectionPlan& plan,
                  const std::vector<TrainedBias>& biases, AdapterInstance& adapter) {
  for (const TrainedBias& bias : biases) {
    for (const std::string& key : bias.keys) {
      // Of tied names one is trained, the others are only written.
      adapter.tensors.push_back({.module = key,
                                 .name = "",
                                 .tensor = bias.copy,
                                 .trainable = key == bias.keys.front(),
                                 .replaces_base = true});
    }
  }
  for (CallSite& site : bias_sites(model, plan, biases)) {
    LayerAdapter::Parts parts;
    parts.adapter = adapter.config.name;
    parts.weights = biases_among(biases, site.tensors);
    adapter.layer_adapters.push_back(
        {std::move(site), std::make_shared<const LayerAdapter>(std::move(parts))});
  }
}

using Copies = std::map<std::int32_t, at::Tensor>;  // by number of ModelData::tensors

void place_copies(const Copies& copies, CallSite site, AdapterInstance& adapter) {
  LayerAdapter::Parts parts;
  parts.adapter = adapter.config.name;
  parts.saves_module = true;
  for (const std::int32_t tensor : site.tensors) {
    const auto copy = copies.find(tensor);
    parts.weights.push_back(copy == copies.end() ? at::Tensor() : copy->second);
  }
  adapter.layer_adapters.push_back(
      {std::move(site), std::make_shared<const LayerAdapter>(std::move(parts))});
}

bool is_saved(const ModelData& model, const InjectionPlan& plan, const std::string& path) {
  return std::ranges::any_of(plan.saved,
                             [&](ModuleId id) { return lies_in(path, model.tree.at(id).path); });
}

// Layers that are tied to a saved module run on its copies too, and PEFT writes them once more.
void place_tied(const ModelData& model, const InjectionPlan& plan, ModuleId module,
                const Copies& copies, AdapterInstance& adapter) {
  for (const ModuleId other : tied_modules(model, module)) {
    const std::string& path = model.tree.at(other).path;
    if (is_saved(model, plan, path) || is_left_apart(plan.config, path)) continue;
    std::vector<std::int32_t> tied;
    for (const auto& [tensor, copy] : copies) {
      const auto name = model.tensors[static_cast<std::size_t>(tensor)].name_in(path);
      if (!name) continue;
      tied.push_back(tensor);
      adapter.tensors.push_back({path, *name, copy, false});
      const at::Tensor& base = model.tensors[static_cast<std::size_t>(tensor)].tensor;
      if (copy.scalar_type() != base.scalar_type()) {
        adapter.tensors.back().file_dtype = base.scalar_type();
      }
    }
    for (CallSite& site : reading_sites(model, tied, [&](std::int32_t node) {
           const auto& stack = model.graph.nodes[static_cast<std::size_t>(node)].module_stack;
           return std::ranges::find(stack, other) != stack.end();
         })) {
      place_copies(copies, std::move(site), adapter);
    }
  }
}

// All names that a tensor has in a module.
std::vector<std::string> names_in(const ModelTensor& tensor, const std::string& path) {
  std::vector<std::string> names;
  for (const std::string& name : all_names(tensor)) {
    if (name.starts_with(path + ".")) names.push_back(name.substr(path.size() + 1));
  }
  return names;
}

// Steps of a usual learning rate are lost where half precision rounds them, so a copy is trained in
// float32 and runs rounded to the base's type; PEFT trains it in the base's.
bool trains_wide(const AdapterConfig& config, const at::Tensor& base) {
  const bool is_half = base.scalar_type() == at::kHalf || base.scalar_type() == at::kBFloat16;
  return is_half && config.autocast_adapter_dtype;
}

// Gives the module tensors of its own: what runs in it reads the copies, everything else the
// originals (PEFT: ModulesToSaveWrapper). `tied`: the copies of modules before it, which are its
// own for a weight that it shares with them; empty unless ensure_weight_tying.
void place_saved_module(const ModelData& model, const InjectionPlan& plan, ModuleId module,
                        Copies& tied, AdapterInstance& adapter) {
  const std::string& path = model.tree.at(module).path;
  adapter.saved.push_back(path);
  const bool is_frozen = std::ranges::count(plan.frozen, module) > 0;
  Copies copies;
  for (std::size_t i = 0; i < model.tensors.size(); ++i) {
    const ModelTensor& base = model.tensors[i];
    const std::vector<std::string> names = names_in(base, path);
    if (names.empty() || base.kind == ValueKind::kConstant) continue;
    const auto number = static_cast<std::int32_t>(i);
    const bool is_new = !tied.contains(number);
    const bool is_parameter = base.kind == ValueKind::kParameter;
    const bool trainable = is_new && is_parameter && base.tensor.is_floating_point() && !is_frozen;
    const bool is_wide = trainable && trains_wide(plan.config, base.tensor);
    const at::Tensor copy = !is_new ? tied.at(number)
                                    : base.tensor.detach()
                                          .to(is_wide ? at::kFloat : base.tensor.scalar_type())
                                          .clone(at::MemoryFormat::Contiguous);
    if (trainable) copy.requires_grad_(true);
    copies.emplace(number, copy);
    if (!base.persistent) continue;
    for (const std::string& own : names) {
      adapter.tensors.push_back({path, own, copy, trainable && own == names[0], !is_parameter});
      if (copy.scalar_type() != base.tensor.scalar_type()) {
        adapter.tensors.back().file_dtype = base.tensor.scalar_type();
      }
    }
  }
  for (CallSite& site : saved_sites(model, module)) {
    place_copies(copies, std::move(site), adapter);
  }
  if (!adapter.config.ensure_weight_tying) return;
  place_tied(model, plan, module, copies, adapter);
  tied.insert(copies.begin(), copies.end());
}

std::unique_ptr<AdapterInstance> place(const ModelData& model, const InjectionPlan& plan,
                                       const at::Generator& generator, GivenStarts given,
                                       bool from_file) {
  auto adapter = std::make_unique<AdapterInstance>();
  adapter->given = std::move(given);
  adapter->config = plan.config;
  adapter->method = plan.method;
  adapter->layers = plan.layers;
  const std::vector<TrainedBias> biases = copy_biases(model, plan);
  SharedTensors shared;
  for (const PlannedLayer& planned : plan.layers) {
    place_layer(model, planned, generator, biases, from_file, shared, *adapter);
  }
  Copies tied;
  for (const ModuleId module : plan.saved) {
    const std::string& path = model.tree.at(module).path;
    // What lies in a saved module is saved with it.
    const bool is_inside = std::ranges::any_of(
        adapter->saved, [&](const auto& outer) { return path.starts_with(outer + "."); });
    if (!is_inside) place_saved_module(model, plan, module, tied, *adapter);
  }
  place_biases(model, plan, biases, *adapter);
  std::erase_if(adapter->given, [](const auto& each) { return each.second.residuals.empty(); });
  return adapter;
}

}  // namespace

bool AdapterInstance::has_shared(const std::string& key) const {
  return std::ranges::any_of(
      tensors, [&](const AddedTensor& added) { return added.module.empty() && added.name == key; });
}

void AdapterInstance::set_requires_grad(bool on) {
  for (AddedTensor& added : tensors) {
    // Written only where it changes: forwards in other threads may be reading it.
    if (added.trainable && added.tensor.requires_grad() != on) added.tensor.requires_grad_(on);
  }
}

std::vector<std::shared_ptr<const LayerAdapter>> AdapterInstance::rescaled(double factor) const {
  std::vector<std::shared_ptr<const LayerAdapter>> scaled;
  scaled.reserve(layer_adapters.size());
  for (const PlacedLayerAdapter& placed : layer_adapters)
    scaled.push_back(placed.layer_adapter->rescaled(factor));
  return scaled;
}

std::unique_ptr<AdapterInstance> place_adapter(const ModelData& model, const InjectionPlan& plan,
                                               std::uint64_t seed, GivenStarts given) {
  return place(model, plan, make_generator(seed), std::move(given), /*from_file=*/false);
}

std::unique_ptr<AdapterInstance> place_saved_adapter(const ModelData& model,
                                                     const InjectionPlan& plan) {
  return place(model, plan, make_generator(0), {}, /*from_file=*/true);
}

}  // namespace tenon
