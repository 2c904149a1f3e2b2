#include "plan/resolved_targets.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/error.h"
#include "base/suggest.h"
#include "graph/owned_tensors.h"
#include "model/layer_kind.h"
#include "model/linear_module.h"
#include "model/output_layer.h"
#include "model/own_operator.h"
#include "plan/block_targets.h"
#include "plan/exact_targets.h"
#include "plan/grouped_texts.h"
#include "plan/idle_modules.h"
#include "targets/default_targets.h"

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

// What PEFT may take for a linear layer, as a subclass, and no plugin for one may.
bool is_more_than_linear(const ModelData& model, const SubgraphFinder& finder, ModuleId id) {
  const std::string& type = model.tree.at(id).type;
  return !type.starts_with("torch.nn.") && multiplies_by_its_weight(model, finder.find(id));
}

// Whether a module of which no operator shows the class keeps a matrix `weight`, as a Linear does.
bool may_be_linear(const ModelData& model, const OwnedTensors& owned, const Module& module) {
  if (!module.type.empty()) return module.type.ends_with("Linear");
  const std::vector<OwnedTensor> tensors = owned.of(module.path);
  return std::ranges::any_of(tensors, [&](const OwnedTensor& one) {
    return one.name == "weight" &&
           model.tensors[static_cast<std::size_t>(one.tensor)].tensor.dim() == 2;
  });
}

// Why all-linear leaves a module out that PEFT takes, or may take; "" if there is nothing to say.
std::string why_left_out(const ModelData& model, const SubgraphFinder& finder,
                         const IdleModules& idle, const OwnedTensors& owned, ModuleId id) {
  const Module& module = model.tree.at(id);
  if (may_be_linear(model, owned, module)) {
    const std::string why = idle.why(id);
    if (!why.empty()) return "it " + why;
  }
  if (is_linear_module(model, finder, id) || !is_more_than_linear(model, finder, id)) return "";
  return "its class " + module.type +
         " runs more than the product with its weight; name the layer to adapt it";
}

std::string rule_text(const ModuleRule& rule) {
  if (const auto* regex = std::get_if<Regex>(&rule)) return regex->pattern;
  return join(std::get<std::vector<std::string>>(rule));
}

void expand_all_linear(const ModelData& model, ResolvedTargets& resolved) {
  const ModuleId output = output_layer(model);
  const SubgraphFinder finder(model);
  const IdleModules idle(model, finder);
  const OwnedTensors owned(model.tensors);
  GroupedTexts left_out;
  bool has_output = false;
  std::vector<std::string> names;
  for (std::size_t i = 1; i < model.tree.modules.size(); ++i) {
    const auto id = static_cast<ModuleId>(i);
    const std::string& path = model.tree.modules[i].path;
    std::string why = why_left_out(model, finder, idle, owned, id);
    if (!why.empty()) {
      left_out.add(path, "all-linear leaves out `" + path + "`: " + why);
    } else if (!is_linear_module(model, finder, id)) {
      continue;
    } else if (id == output) {
      has_output = true;
      left_out.add(path, "all-linear leaves out `" + path + "`, the model's output layer");
    } else {
      names.push_back(path);
    }
  }
  for (std::string& text : left_out.texts()) resolved.notes.push_back(std::move(text));
  if (names.empty()) {
    throw Error(
        {.stage = Stage::kInjection,
         .message = "target_modules = \"all-linear\" finds no fully connected layer" +
                    std::string(has_output ? " but the output layer" : "") +
                    (resolved.notes.empty() ? "" : ":\n  - " + join(resolved.notes, "\n  - ")),
         .hint = "`tenon tree` lists the model's modules; name those to adapt",
         .location = resolved.config.location});
  }
  resolved.config.target_modules = exact_targets(model.tree, names);
  resolved.all_linear = true;
}

void take_default(const ModelData& model, const DefaultTargets& presets,
                  ResolvedTargets& resolved) {
  const std::string& root = model.tree.modules.front().type;
  const std::string type = model_type_of(root, presets);
  const auto rule = default_targets(type, presets);
  if (!rule && !resolved.config.target_parameters.empty()) return;
  if (!rule) {
    throw Error({.stage = Stage::kInjection,
                 .message = "target_modules is missing, and there is no preset for " +
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
                                const std::vector<std::string>& served,
                                const DefaultTargets& presets) {
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
      config.optional_keys.contains("target_modules") && !config.target_parameters.empty();
  if (is_missing && !presets.empty() && !names_all) take_default(model, presets, resolved);
  return resolved;
}

}  // namespace tenon
