#include "plan/weight_targets.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <utility>

#include "graph/tensor_names.h"
#include "plan/layer_options.h"
#include "targets/name_patterns.h"

namespace tenon {
namespace {

template <typename T>
bool contains(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// "ia3_l" of "weight_ih_l0.ia3_l", whose weight is "weight_ih_l0".
std::optional<std::string> rest_behind(const std::string& weight, const std::string& parameter) {
  if (!parameter.starts_with(weight + ".")) return std::nullopt;
  return parameter.substr(weight.size() + 1);
}

const WeightFacts* weight_of(const LayerFacts& facts, const std::string& parameter) {
  for (const WeightFacts& weight : facts.description().weights) {
    if (rest_behind(weight.name, parameter)) return &weight;
  }
  return nullptr;
}

// A regular expression that fits the whole of `text` only. Letters outside ASCII stand for
// themselves.
std::string exactly(const std::string& text) {
  std::string pattern = "^";
  for (const char c : text) {
    if (std::ispunct(static_cast<unsigned char>(c)) != 0 && c != '_') pattern += '\\';
    pattern += c;
  }
  return pattern;
}

// Keeps the expressions that mean a layer of `kept`, and gives each of `weights` its value.
void rewrite_patterns(const DeclaredOption& key, const std::vector<std::string>& kept,
                      const std::vector<std::pair<std::string, OptionValue>>& weights,
                      OptionTable& keys) {
  std::vector<std::pair<std::string, OptionValue>> patterns;
  if (const auto* table = std::get_if<OptionEntries>(&keys.at(key.pattern_key))) {
    for (const OptionEntry& entry : table->items) patterns.emplace_back(entry.key, entry.value);
  }
  using Compiled = NamePatterns<OptionValue>;
  const std::vector<std::string> unused = Compiled(key.pattern_key, patterns).unused(kept);
  std::erase_if(patterns, [&](const auto& entry) { return contains(unused, entry.first); });
  for (const auto& [weight, value] : weights) {
    const OptionValue now =
        Compiled(key.pattern_key, patterns).value(weight).value_or(keys.at(key.key));
    if (!same_option(now, value)) patterns.insert(patterns.begin(), {exactly(weight), value});
  }
  OptionEntries entries;
  for (auto& [pattern, value] : patterns) entries.items.push_back({pattern, std::move(value)});
  keys[key.pattern_key] = std::move(entries);
}

}  // namespace

std::vector<std::string> parameter_names(const ModelData& model) {
  std::vector<std::string> names;
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.kind != ValueKind::kParameter) continue;
    for (std::string& name : all_names(tensor)) names.push_back(std::move(name));
  }
  return names;
}

std::vector<ParameterTargets> by_module(const ModelData& model,
                                        const std::vector<std::string>& names) {
  std::vector<ParameterTargets> targets;
  for (const Module& module : model.tree.modules) {
    ParameterTargets found{module.path, {}};
    for (const std::string& name : names) {
      const std::size_t dot = name.rfind('.');
      if (dot != std::string::npos && name.substr(0, dot) == module.path) {
        found.names.push_back(name.substr(dot + 1));
      }
    }
    if (!found.names.empty()) targets.push_back(std::move(found));
  }
  return targets;
}

std::vector<std::string> adapted_weights(const LayerFacts& facts,
                                         const std::vector<ParameterSpec>& parameters) {
  std::vector<std::string> weights;
  for (const WeightFacts& weight : facts.description().weights) {
    const auto is_of = [&](const ParameterSpec& p) { return weight_of(facts, p.name) == &weight; };
    if (std::any_of(parameters.begin(), parameters.end(), is_of)) weights.push_back(weight.name);
  }
  const bool all = std::all_of(parameters.begin(), parameters.end(), [&](const ParameterSpec& p) {
    return weight_of(facts, p.name) != nullptr;
  });
  return all ? weights : std::vector<std::string>();
}

void name_in_file(const LayerFacts& facts, std::vector<ParameterSpec>& parameters) {
  const std::vector<std::string> weights = adapted_weights(facts, parameters);
  for (ParameterSpec& parameter : parameters) {
    parameter.file_name = parameter.name;
    if (weights.empty()) continue;
    const std::string& weight = weight_of(facts, parameter.name)->name;
    parameter.file_name = *rest_behind(weight, parameter.name);
    const auto place = std::find(weights.begin(), weights.end(), weight);
    for (auto outer = place + 1; outer != weights.end(); ++outer) {
      parameter.file_name.insert(0, "base_layer.");
    }
  }
}

AdapterConfig config_in_file(const AdapterConfig& config, const Method& method,
                             const std::vector<PlannedLayer>& layers) {
  std::vector<std::string> modules;
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::pair<std::string, OptionValue>>> values;  // by key
  for (const PlannedLayer& layer : layers) {
    // Rows of an embedding have a key of their own.
    if (layer.layer_type->method() != config.method) continue;
    const std::string& path = layer.facts->description().module_path;
    const std::vector<std::string> weights = adapted_weights(*layer.facts, layer.parameters);
    if (weights.empty()) modules.push_back(path);
    for (const std::string& weight : weights) {
      names.push_back(std::string(path).append(".").append(weight));
      for (const DeclaredOption& key : method.keys()) {
        if (key.pattern_key.empty()) continue;
        values[key.key].emplace_back(names.back(), own_option(*layer.options, weight, key.key));
      }
    }
  }
  AdapterConfig file = config;
  if (names.empty()) return file;
  file.target_parameters = names;
  for (const DeclaredOption& key : method.keys()) {
    if (key.pattern_key.empty()) continue;
    rewrite_patterns(key, modules, values[key.key], file.method_keys);
  }
  // Full names mean the same without the rules that chose them.
  file.target_modules = modules.empty() ? ModuleRule() : ModuleRule(modules);
  file.exclude_modules = {};
  file.layers_to_transform.clear();
  file.layers_pattern.clear();
  return file;
}

}  // namespace tenon
