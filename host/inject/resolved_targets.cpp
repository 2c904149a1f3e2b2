#include "inject/resolved_targets.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/suggest.h"
#include "inject/block_targets.h"
#include "inject/default_targets.h"
#include "inject/exact_targets.h"
#include "inject/output_layer.h"
#include "inject/plain_layer.h"

namespace tenon {
namespace {

// PEFT: INCLUDE_LINEAR_LAYERS_SHORTHAND, in any case.
bool is_all_linear(const ModuleRule& rule) {
  const auto* regex = std::get_if<Regex>(&rule);
  if (regex == nullptr) return false;
  std::string text = regex->pattern;
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text == "all-linear";
}

// PEFT: isinstance. A class that computes its weight is one too, to be told why it is left out.
bool is_linear(const ModelData& model, const RegionFinder& finder, ModuleId id) {
  const std::string& type = model.tree.modules[static_cast<std::size_t>(id)].type;
  if (type.starts_with("torch.nn.")) {
    return type == "torch.nn.Linear" || type == "torch.nn.utils.parametrize.ParametrizedLinear";
  }
  return type == "transformers.pytorch_utils.Conv1D" ||
         plain_type(model, finder.find(id)) == "torch.nn.Linear";
}

// What PEFT may take for a linear layer, as a subclass, and no plugin for one may.
bool is_more_than_linear(const ModelData& model, const RegionFinder& finder, ModuleId id) {
  const std::string& type = model.tree.modules[static_cast<std::size_t>(id)].type;
  return !type.starts_with("torch.nn.") && multiplies_by_its_weight(model, finder.find(id));
}

std::string rule_text(const ModuleRule& rule) {
  if (const auto* regex = std::get_if<Regex>(&rule)) return regex->pattern;
  return join(std::get<std::vector<std::string>>(rule));
}

void expand_all_linear(const ModelData& model, ResolvedTargets& resolved) {
  const ModuleId output = output_layer(model);
  const RegionFinder finder(model);
  std::vector<std::string> names;
  for (std::size_t id = 0; id < model.tree.modules.size(); ++id) {
    const Module& module = model.tree.modules[id];
    if (!is_linear(model, finder, static_cast<ModuleId>(id))) {
      if (is_more_than_linear(model, finder, static_cast<ModuleId>(id))) {
        resolved.notes.push_back("all-linear leaves out `" + module.path + "`: its class " +
                                 module.type +
                                 " runs more than the product with its weight; name the layer if a "
                                 "plugin adapts that class");
      }
      continue;
    }
    if (static_cast<ModuleId>(id) != output) {
      names.push_back(module.path);
    } else {
      resolved.notes.push_back("all-linear leaves out `" + module.path +
                               "`, the model's output layer");
    }
  }
  if (names.empty()) {
    throw Error({.stage = Stage::kInjection,
                 .message = "target_modules = \"all-linear\" finds no fully connected layer" +
                            std::string(resolved.notes.empty() ? "" : " but the output layer"),
                 .hint = "`tenon tree` lists the model's modules; name those to adapt",
                 .location = resolved.config.location});
  }
  resolved.config.target_modules = exact_targets(model.tree, names);
  resolved.all_linear = true;
}

void take_default(const ModelData& model, ResolvedTargets& resolved) {
  const std::string& root = model.tree.modules.front().type;
  const std::string type = model_type_of(root);
  const auto rule = default_targets(type);
  if (!rule && !resolved.config.target_parameters.empty()) return;
  if (!rule) {
    throw Error({.stage = Stage::kInjection,
                 .message = "target_modules is missing, and there is no custom for " +
                            (type.empty() ? "a model of class " + (root.empty() ? "?" : root)
                                          : "models of type " + type),
                 .hint = "name the layers to adapt, such as [\"q_proj\", \"v_proj\"]; `tenon tree` "
                         "lists the model's modules",
                 .location = resolved.config.location});
  }
  resolved.config.target_modules = *rule;
  resolved.notes.push_back("target_modules is not given; taken for models of type " + type + ": " +
                           rule_text(*rule));
}

}  // namespace

ResolvedTargets resolve_targets(const AdapterConfig& config, const ModelData& model,
                                const std::vector<std::string>& served) {
  ResolvedTargets resolved{config, false, {}};
  if (names_blocks(config.target_modules)) {
    const auto& names = std::get<std::vector<std::string>>(config.target_modules);
    resolved.config.target_modules = expand_blocks(config, model, names, served);
    return resolved;
  }
  if (is_all_linear(config.target_modules)) {
    expand_all_linear(model, resolved);
    return resolved;
  }
  const bool is_missing = std::holds_alternative<std::monostate>(config.target_modules);
  // Of a saved adapter the parameters that it names are all that it is on.
  const bool names_all =
      config.lenient_keys.contains("target_modules") && !config.target_parameters.empty();
  if (is_missing && config.method == "lora" && !names_all) take_default(model, resolved);
  return resolved;
}

}  // namespace tenon
