#include "adapter/config_for_peft.h"

#include <tenon/method.h>

#include <algorithm>
#include <iterator>

#include "plan/exact_targets.h"
#include "plan/factor_keys.h"
#include "plan/tied_layers.h"
#include "plan/token_rows.h"
#include "plan/weight_targets.h"
#include "targets/module_names.h"
#include "targets/rule_matcher.h"

namespace tenon {
namespace {

bool is_tied_by_peft(const std::string& entry) {
  return is_named(entry, "embed_tokens") || is_named(entry, "lm_head");
}

// PEFT takes each module whose path ends with an entry, at a dot or not, and ensure_weight_tying
// brings others only to what is called embed_tokens or lm_head (PEFT: _set_trainable,
// BaseTuner._check_tied_modules).
std::vector<std::string> modules_in_file(const ModelData& model, const AdapterInstance& adapter) {
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
  // Saved for their statistics, by no entry of the user's.
  for (const std::string& path : saved) {
    const bool is_there =
        std::ranges::any_of(names, [&](const std::string& entry) { return path.ends_with(entry); });
    if (!is_there) names.push_back(path);
  }
  if (!adapter.config.ensure_weight_tying || std::ranges::any_of(names, is_tied_by_peft)) {
    return names;
  }
  for (const std::string& path : saved) {
    for (const ModuleId tied : tied_modules(model, model.tree.find(path))) {
      const std::string& other = model.tree.at(tied).path;
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
  const std::string& path = model.tree.at(input).path;
  for (TokenRows& rule : rules) {
    if (rule.module.empty() && !is_named(path, "embed_tokens")) rule.module = path;
  }
}

// The layers that the adapter is on by target_modules.
std::vector<std::string> targeted_layers(const AdapterInstance& adapter) {
  std::vector<std::string> paths;
  for (const PlannedLayer& layer : adapter.layers) {
    const bool is_token_row = layer.layer_type->method() != adapter.config.method;
    const bool is_parameter = !adapted_weights(*layer.facts, layer.parameters).empty();
    if (!is_token_row && !is_parameter) paths.push_back(layer.facts->description().module_path);
  }
  return paths;
}

// Whether the config's rules choose the layers in a way that PEFT's config of the method cannot
// say: it has layers_to_transform and exclude_modules not for all, and never leaves a layer out
// because it is not supported.
bool chooses_beyond_peft(const AdapterConfig& config) {
  const bool excludes = !std::holds_alternative<std::monostate>(config.exclude_modules);
  return config.skip_unsupported ||
         (!config.layers_to_transform.empty() && !config.writes.contains("layers_to_transform")) ||
         (excludes && !config.writes.contains("exclude_modules"));
}

void name_targets(const ModelData& model, const AdapterInstance& adapter, AdapterConfig& config) {
  const std::vector<std::string> paths = targeted_layers(adapter);
  if (paths.empty() || !chooses_beyond_peft(config)) return;
  config.target_modules = exact_targets(model.tree, paths);
  config.exclude_modules = {};
  config.layers_to_transform.clear();
  config.layers_pattern.clear();
}

ModuleRule rule_of(const OptionValue& value) {
  if (const auto* pattern = std::get_if<std::string>(&value)) return Regex{*pattern};
  if (const auto* names = std::get_if<std::vector<std::string>>(&value)) return *names;
  return {};
}

// A key that names some of the targets, such as (IA)^3's feedforward_modules: PEFT takes each layer
// whose path ends with an entry, at a dot or not, and of two lists wants the entries of the one
// among those of the other. Where that is more than was meant, or refused, an expression.
void name_modules_of_method(const AdapterInstance& adapter, AdapterConfig& config) {
  if (adapter.method == nullptr || !adapter.method->is_in_peft()) return;
  const std::vector<std::string> paths = targeted_layers(adapter);
  for (const DeclaredOption& key : adapter.method->keys()) {
    const auto value = config.method_keys.find(key.key);
    if (!key.is_modules() || value == config.method_keys.end()) continue;
    // Without any, PEFT would take the preset of the model's type, or refuse the config.
    if (std::holds_alternative<std::monostate>(value->second)) {
      value->second = std::vector<std::string>();
    }
    const auto* entries = std::get_if<std::vector<std::string>>(&value->second);
    if (entries == nullptr || entries->empty()) continue;
    RuleMatcher rule(key.key, rule_of(value->second));
    std::vector<std::string> meant;
    std::size_t taken = 0;
    for (const std::string& path : paths) {
      if (rule.matches(path)) meant.push_back(path);
      taken += std::ranges::any_of(*entries,
                                   [&](const std::string& entry) { return path.ends_with(entry); })
                   ? 1
                   : 0;
    }
    const auto* targets = std::get_if<std::vector<std::string>>(&config.target_modules);
    const bool is_subset =
        targets == nullptr || std::ranges::all_of(*entries, [&](const std::string& entry) {
          return std::ranges::count(*targets, entry) > 0;
        });
    if (taken == meant.size() && is_subset) continue;
    value->second = exact_expression(meant).pattern;
  }
}

bool is_product(const PlannedLayer& layer) {
  return layer.facts->description().operator_name == "aten::linear";
}

}  // namespace

AdapterConfig config_for_peft(const ModelData& model, const AdapterInstance& adapter) {
  AdapterConfig config = adapter.method == nullptr
                             ? adapter.config
                             : config_in_file(adapter.config, *adapter.method, adapter.layers);
  config.modules_to_save = modules_in_file(model, adapter);
  name_targets(model, adapter, config);
  name_modules_of_method(adapter, config);
  // Without any, PEFT would take the preset of the model's type.
  if (!config.target_parameters.empty() &&
      std::holds_alternative<std::monostate>(config.target_modules)) {
    config.target_modules = std::vector<std::string>();
  }
  name_embedding(model, config.trainable_tokens);
  // PEFT knows starts from data of products only, and this one changed nothing that is not in the
  // file.
  if (adapter.method != nullptr && adapter.method->factors() != nullptr) {
    FactorKeysEditor keys(*adapter.method, config.method_keys);
    if (keys.starts_from_data() && !std::ranges::all_of(adapter.layers, is_product)) {
      keys.set_plain_start();
    }
  }
  return config;
}

}  // namespace tenon
