#include "train/parameter_role.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "plan/factor_keys.h"
#include "plan/layer_options.h"

namespace tenon {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// A parameter of one layer, and what its plugin says of it.
struct GroupedParameter {
  at::Tensor tensor;
  at::Tensor down;  // of a second factor: the first
  std::string name;
  std::string down_name;
  LayerType::Grouped grouped;
  double scaling;
  const PlannedLayer* layer;
  std::optional<std::int64_t> rank;  // of the layer, where the method has factors
};

std::optional<std::int64_t> rank_of(const AdapterInstance& adapter, const PlannedLayer& layer) {
  const bool has_factors = adapter.method != nullptr && adapter.method->factors() != nullptr &&
                           layer.layer_type->method() == adapter.config.method;
  return has_factors ? std::optional(FactorKeys(*adapter.method, *layer.options).rank())
                     : std::nullopt;
}

std::vector<GroupedParameter> grouped_parameters(const AdapterInstance& adapter) {
  std::vector<GroupedParameter> all;
  for (const PlannedLayer& layer : adapter.layers) {
    const auto layer_adapter =
        std::ranges::find_if(adapter.layer_adapters, [&](const PlacedLayerAdapter& placed) {
          return placed.layer_adapter->layer_type() != nullptr &&
                 &placed.layer_adapter->facts() == layer.facts.get();
        });
    if (layer_adapter == adapter.layer_adapters.end()) continue;
    const tenon_setup setup{*layer.options, layer.parameters, {}};
    const auto& tensors = layer_adapter->layer_adapter->parameters();
    for (std::uint32_t i = 0; i < layer.parameters.size(); ++i) {
      const LayerType::Grouped grouped = layer.layer_type->group(*layer.facts, setup, i);
      const std::int32_t down = grouped.group.down;
      const auto first = static_cast<std::size_t>(std::max(down, 0));
      all.push_back({tensors[i], down < 0 ? at::Tensor() : tensors[first], layer.parameters[i].name,
                     layer.parameters[first].name, grouped,
                     layer_adapter->layer_adapter->table().scaling, &layer,
                     rank_of(adapter, layer)});
    }
  }
  return all;
}

bool is_layer_norm(const ModuleTree& tree, const AddedTensor& added) {
  const std::string key = added.key();
  const ModuleId owner = tree.find(std::string_view(key).substr(0, key.rfind('.')));
  return owner != kNoModule && tree.at(owner).type == "torch.nn.LayerNorm";
}

// Where no plugin says more (tenon/draft/groups.h).
void fill_role(const ModuleTree& tree, const AddedTensor& added, ParameterRole& role) {
  role.is_up = added.tensor.dim() == 1;
  role.decays = !contains(added.key(), "bias") && !is_layer_norm(tree, added);
}

void fill_told_role(const GroupedParameter& parameter, ParameterRole& role) {
  role.down = parameter.down;
  role.scaling = parameter.scaling;
  if (!parameter.grouped.is_told) return;
  const tenon_group& group = parameter.grouped.group;
  role.is_embedding = (group.flags & TENON_GROUP_EMBEDDING) != 0;
  role.is_up = (group.flags & TENON_GROUP_FAST) != 0;
  role.decays = role.decays && (group.flags & TENON_GROUP_NO_DECAY) == 0;
  role.learning_rate = group.learning_rate;
  role.weight_decay = group.weight_decay;
}

// Why the second factor alone cannot be trained; "" where it can.
std::string obstacle(const GroupedParameter& pair) {
  const OptionTable& options = *pair.layer->options;
  const OwnOption other = other_than_the_layers(*pair.layer->facts, options);
  if (!other.parameter.empty()) {
    return "`" + other.parameter + "` has another " + other.key + " than its other parameters";
  }
  if (std::ranges::any_of(pair.layer->tied,
                          [](const auto& tied) { return tied && tied->transposed; })) {
    return "ensure_weight_tying makes its " + pair.down_name + " the " + pair.name +
           " of another layer, which is trained";
  }
  const bool is_matrix = pair.rank == pair.down.size(0) && pair.tensor.size(1) == pair.down.size(0);
  return is_matrix ? ""
                   : "its " + pair.down_name + " and " + pair.name + " are not those of one matrix";
}

}  // namespace

std::vector<ParameterRole> parameter_roles(const AdaptedModel& model,
                                           const std::vector<at::Tensor>& parameters) {
  std::vector<ParameterRole> roles(parameters.size());
  const auto role_of = [&](const at::Tensor& tensor) -> ParameterRole* {
    const auto place = std::ranges::find_if(
        parameters, [&](const at::Tensor& parameter) { return parameter.is_same(tensor); });
    return place == parameters.end() ? nullptr
                                     : &roles[static_cast<std::size_t>(place - parameters.begin())];
  };
  for (const std::string& name : model.adapter_names()) {
    const AdapterInstance& adapter = model.adapter(name);
    for (const AddedTensor& added : adapter.tensors) {
      ParameterRole* role = added.trainable ? role_of(added.tensor) : nullptr;
      if (role != nullptr) fill_role(model.model().tree, added, *role);
    }
    for (const GroupedParameter& parameter : grouped_parameters(adapter)) {
      ParameterRole* role = role_of(parameter.tensor);
      if (role != nullptr) fill_told_role(parameter, *role);
    }
  }
  return roles;
}

void freeze_first_factors(const AdaptedModel& model, const std::string& optimizer) {
  bool any = false;
  for (const std::string& name : model.adapter_names()) {
    for (GroupedParameter& pair : grouped_parameters(model.adapter(name))) {
      if (!pair.down.defined()) continue;
      const std::string why = obstacle(pair);
      if (!why.empty()) {
        throw Error({.stage = Stage::kConfig,
                     .message = "optimizer = \"" + optimizer + "\" cannot train `" +
                                pair.layer->facts->description().module_path + "`: " + why,
                     .hint = "leave the layer out of target_modules, or take another optimizer"});
      }
      pair.down.requires_grad_(false);
      any = true;
    }
  }
  if (any) return;
  throw Error(
      {.stage = Stage::kConfig,
       .message = "optimizer = \"" + optimizer +
                  "\" needs an adapter that is a product of two factors: the model has no first "
                  "factor to freeze",
       .hint = "take adamw"});
}

}  // namespace tenon
