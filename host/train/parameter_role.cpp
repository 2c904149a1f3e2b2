#include "train/parameter_role.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/error.h"
#include "inject/layer_options.h"

namespace tenon {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// "lora_A.weight" of "lora_B.weight", "" if the name is no lora_B's.
std::string partner(std::string name) {
  for (const auto* up : {"lora_B.weight", "lora_embedding_B"}) {
    const std::size_t place = name.rfind(up);
    if (place == std::string::npos) continue;
    name[name.find('B', place)] = 'A';
    return name;
  }
  return "";
}

// A parameter and its A, as the plugin of one layer declared them.
struct MatrixPair {
  at::Tensor down, up;
  double scaling;
  const PlannedLayer* layer;
  bool is_embedding;
};

std::vector<MatrixPair> pairs_of(const PlacedAdapter& adapter) {
  std::vector<MatrixPair> pairs;
  for (const PlannedLayer& layer : adapter.layers) {
    const auto slot = std::ranges::find_if(adapter.slots, [&](const PlacedSlot& placed) {
      return placed.slot->layer_type() != nullptr && &placed.slot->facts() == layer.facts.get();
    });
    if (slot == adapter.slots.end()) continue;
    for (std::size_t b = 0; b < layer.parameters.size(); ++b) {
      const std::string name = partner(layer.parameters[b].name);
      const auto a = std::ranges::find(layer.parameters, name, &ParameterSpec::name);
      if (name.empty() || a == layer.parameters.end()) continue;
      const auto& tensors = slot->slot->parameters();
      pairs.push_back({tensors[static_cast<std::size_t>(a - layer.parameters.begin())], tensors[b],
                       slot->slot->table().scaling, &layer, contains(name, "lora_embedding")});
    }
  }
  return pairs;
}

bool is_layer_norm(const ModuleTree& tree, const AddedTensor& added) {
  const std::string key = added.key();
  const ModuleId owner = tree.find(std::string_view(key).substr(0, key.rfind('.')));
  return owner != kNoModule &&
         tree.modules[static_cast<std::size_t>(owner)].type == "torch.nn.LayerNorm";
}

// PEFT: create_loraplus_optimizer.
void fill_role(const ModuleTree& tree, const AddedTensor& added, ParameterRole& role) {
  const std::string key = added.key();
  role.is_embedding = contains(key, "lora_embedding_");
  role.is_up = contains(key, "lora_B") || added.tensor.dim() == 1;
  role.decays = !contains(key, "bias") && !is_layer_norm(tree, added);
}

// Why LoRA-FA cannot train the pair; "" where it can.
std::string obstacle(const MatrixPair& pair) {
  const OptionTable& options = pair.layer->options;
  const std::string other = own_rank(*pair.layer->facts, options);
  if (!other.empty()) {
    return "`" + other + "` has another r or lora_alpha than its other parameters";
  }
  if (std::ranges::any_of(pair.layer->tied,
                          [](const auto& tied) { return tied && tied->transposed; })) {
    return "ensure_weight_tying makes its lora_A the lora_B of another layer, which is trained";
  }
  const auto r = options.find("r");
  const bool is_matrix = r != options.end() &&
                         std::get<std::int64_t>(r->second) == pair.down.size(0) &&
                         pair.up.size(1) == pair.down.size(0);
  return is_matrix ? "" : "its lora_A and lora_B are not those of one matrix";
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
    const PlacedAdapter& adapter = model.adapter(name);
    for (const AddedTensor& added : adapter.tensors) {
      ParameterRole* role = added.trainable ? role_of(added.tensor) : nullptr;
      if (role != nullptr) fill_role(model.model().tree, added, *role);
    }
    for (const MatrixPair& pair : pairs_of(adapter)) {
      ParameterRole* role = role_of(pair.up);
      if (role == nullptr) continue;
      role->down = pair.down;
      role->scaling = pair.scaling;
    }
  }
  return roles;
}

void freeze_lora_a(const AdaptedModel& model) {
  bool any = false;
  for (const std::string& name : model.adapter_names()) {
    for (const MatrixPair& pair : pairs_of(model.adapter(name))) {
      const std::string why = obstacle(pair);
      if (!why.empty()) {
        throw Error({.stage = Stage::kConfig,
                     .message = "optimizer = \"lorafa\" cannot train `" +
                                pair.layer->facts->description().module_path + "`: " + why,
                     .hint = "leave the layer out of target_modules, or take another optimizer"});
      }
      pair.down.requires_grad_(false);
      any = true;
    }
  }
  if (any) return;
  throw Error({.stage = Stage::kConfig,
               .message =
                   "optimizer = \"lorafa\" needs an adapter of method lora: the model has no "
                   "lora_A to freeze",
               .hint = "take adamw"});
}

}  // namespace tenon
