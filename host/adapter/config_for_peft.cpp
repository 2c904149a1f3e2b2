#include "adapter/config_for_peft.h"

#include <algorithm>
#include <iterator>

#include "inject/module_names.h"
#include "inject/tied_layers.h"
#include "inject/token_rows.h"
#include "inject/weight_targets.h"

namespace tenon {
namespace {

bool is_tied_by_peft(const std::string& entry) {
  return is_named(entry, "embed_tokens") || is_named(entry, "lm_head");
}

// PEFT takes each module whose path ends with an entry, at a dot or not, and ensure_weight_tying
// brings others only to what is called embed_tokens or lm_head (PEFT: _set_trainable,
// BaseTuner._check_tied_modules).
std::vector<std::string> modules_in_file(const ModelData& model, const PlacedAdapter& adapter) {
  const std::vector<std::string>& saved = adapter.saved;
  std::vector<std::string> names;
  for (const std::string& entry : adapter.config.modules_to_save) {
    const auto ends_so = [&](const std::string& path) { return path.ends_with(entry); };
    if (std::ranges::count_if(model.tree.modules, ends_so, &Module::path) ==
        std::ranges::count_if(saved, ends_so)) {
      names.push_back(entry);
    } else {
      std::ranges::copy_if(saved, std::back_inserter(names), ends_so);
    }
  }
  if (!adapter.config.ensure_weight_tying || std::ranges::any_of(names, is_tied_by_peft)) {
    return names;
  }
  for (const std::string& path : saved) {
    for (const ModuleId tied : tied_modules(model, model.tree.find(path))) {
      const std::string& other = model.tree.modules[static_cast<std::size_t>(tied)].path;
      const bool is_there = std::ranges::any_of(
          names, [&](const std::string& entry) { return is_named(other, entry); });
      if (!is_there && !is_left_apart(adapter.config, other)) names.push_back(other);
    }
  }
  return names;
}

// A list is for the input embedding, which PEFT asks transformers' models for; any other model's is
// called embed_tokens.
void name_embedding(const ModelData& model, std::vector<TokenRows>& rules) {
  if (model.tree.modules.front().type.starts_with("transformers.")) return;
  const ModuleId input = input_embedding(model);
  if (input == kNoModule) return;
  const std::string& path = model.tree.modules[static_cast<std::size_t>(input)].path;
  for (TokenRows& rule : rules) {
    if (rule.module.empty() && !is_named(path, "embed_tokens")) rule.module = path;
  }
}

bool is_product(const PlannedLayer& layer) {
  return layer.facts->description().operator_name == "aten::linear";
}

}  // namespace

AdapterConfig config_for_peft(const ModelData& model, const PlacedAdapter& adapter) {
  AdapterConfig config = config_in_file(adapter.config, adapter.layers);
  config.modules_to_save = modules_in_file(model, adapter);
  // Without any, PEFT would take the custom of the model's type.
  if (!config.target_parameters.empty() &&
      std::holds_alternative<std::monostate>(config.target_modules)) {
    config.target_modules = std::vector<std::string>();
  }
  name_embedding(model, config.trainable_tokens);
  // PEFT knows this start of products only, and it changed nothing that is not in the file.
  if (config.init_lora_weights == "eva" && !std::ranges::all_of(adapter.layers, is_product)) {
    config.init_lora_weights = "default";
  }
  return config;
}

}  // namespace tenon
