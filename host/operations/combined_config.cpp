#include "operations/combined_config.h"

#include <algorithm>
#include <set>

#include "adapter/factor_pairs.h"
#include "base/error.h"
#include "base/suggest.h"
#include "plan/factor_keys.h"

namespace tenon {
namespace {

bool needs_one_rank(const std::string& type) { return type != "cat" && !type.ends_with("svd"); }

// A module's rank is at most this (PEFT: _check_add_weighted_adapter).
std::int64_t largest_rank(const FactorKeys& keys) {
  std::int64_t rank = keys.rank();
  for (const auto& [pattern, own] : keys.rank_pattern()) rank = std::max(rank, own);
  return rank;
}

std::int64_t combined_rank(const std::vector<AdapterFiles>& adapters, const Method& method,
                           const CombineOptions& options) {
  std::int64_t sum = 0;
  std::int64_t largest = 0;
  for (const AdapterFiles& adapter : adapters) {
    const std::int64_t rank = largest_rank({method, adapter.config.method_keys});
    sum += rank;
    largest = std::max(largest, rank);
  }
  if (options.combination_type == "cat") return sum;
  const bool is_svd = options.combination_type.ends_with("svd");
  return is_svd ? options.svd_rank.value_or(largest) : largest;
}

// Of the keys that select layers, target_modules alone may differ to be joined as PEFT does.
bool select_alike(const AdapterConfig& one, const AdapterConfig& other) {
  return one.exclude_modules == other.exclude_modules &&
         one.layers_to_transform == other.layers_to_transform &&
         one.layers_pattern == other.layers_pattern;
}

ModuleRule joined_targets(const std::vector<AdapterFiles>& adapters) {
  std::vector<std::string> names;
  std::string pattern;
  for (const AdapterFiles& adapter : adapters) {
    const ModuleRule& rule = adapter.config.target_modules;
    if (const auto* regex = std::get_if<Regex>(&rule)) {
      pattern += (pattern.empty() ? "(" : "|(") + regex->pattern + ")";
    } else if (const auto* list = std::get_if<std::vector<std::string>>(&rule)) {
      for (const std::string& name : *list) {
        if (std::ranges::count(names, name) == 0) names.push_back(name);
      }
    }
  }
  if (!pattern.empty()) return Regex{pattern};
  std::sort(names.begin(), names.end());
  return names;
}

// Where the adapters chose their layers in ways that no one rule says, the layers themselves.
ModuleRule layer_names(const std::vector<AdapterFiles>& adapters, const Method& method) {
  std::set<std::string> names;
  for (const AdapterFiles& adapter : adapters) {
    for (const auto& [module, pair] : factor_pairs(adapter, method)) {
      names.insert(pattern_path(module));
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

void check_adapter(const AdapterFiles& adapter, const MethodTable& methods,
                   const CombineOptions& options, std::vector<std::string>& problems) {
  const AdapterConfig& config = adapter.config;
  const auto add = [&](const std::string& what) { problems.push_back(config.name + ": " + what); };
  const Method* method = methods.of(config);
  if (method == nullptr || method->factors() == nullptr) {
    add("it is a " + config.peft_type +
        " adapter; only those that are products of two factors can be combined");
    return;
  }
  const FactorKeys keys(*method, config.method_keys);
  if (keys.has_magnitude()) {
    add("it has " + keys.magnitude_key() +
        ": magnitudes belong to its own weights (PEFT forgets those "
        "that were trained and takes the norms of the base); make it plain first: tenon adapter "
        "convert");
  }
  if (config.bias != "none") add("it trained biases (bias = \"" + config.bias + "\")");
  if (!config.trainable_tokens.empty()) add("it trained rows of an embedding");
  if (!config.target_parameters.empty()) add("it targets parameters by name (target_parameters)");
  if (keys.changes_base()) {
    add("its start (" + keys.start_key() + " = " + keys.start_text() +
        ") changed the base; make it plain first: tenon adapter convert");
  }
  const std::string& type = options.combination_type;
  if (keys.has_bias() && type != "svd" && type != "cat" && type != "linear") {
    add(keys.bias_key() + " can be combined by svd, cat and linear only");
  }
}

}  // namespace

std::vector<std::string> combination_problems(const std::vector<AdapterFiles>& adapters,
                                              const MethodTable& methods,
                                              const CombineOptions& options) {
  std::vector<std::string> problems;
  std::set<const Method*> kinds;
  for (const AdapterFiles& adapter : adapters) {
    check_adapter(adapter, methods, options, problems);
    kinds.insert(methods.of(adapter.config));
  }
  if (problems.empty() && kinds.size() > 1) {
    problems.emplace_back("they are of different methods");
  }
  std::set<std::int64_t> ranks;
  std::set<std::size_t> rules;
  std::set<std::string> bases;
  for (const AdapterFiles& adapter : adapters) {
    const Method* method = methods.of(adapter.config);
    if (method != nullptr && method->factors() != nullptr) {
      ranks.insert(largest_rank({*method, adapter.config.method_keys}));
    }
    rules.insert(adapter.config.target_modules.index());
    if (!adapter.base_fingerprint.empty()) bases.insert(adapter.base_fingerprint);
  }
  if (ranks.size() > 1 && needs_one_rank(options.combination_type)) {
    problems.emplace_back(
        "All adapters must have the same r value when using combination_type "
        "linear, ties, dare_ties, dare_linear or magnitude_prune; take cat or "
        "svd");
  }
  if (rules.size() > 1) {
    problems.emplace_back(
        "all adapter configs should follow the same target modules type: "
        "target_modules is a list in one and an expression in another");
  }
  if (bases.size() > 1) {
    problems.emplace_back("the adapters were trained on different bases, by their fingerprints");
  }
  return problems;
}

void throw_combination_problems(const std::vector<std::string>& problems) {
  if (problems.empty()) return;
  throw Error({.stage = Stage::kAdapter,
               .message = "these adapters cannot be combined:\n  " + join(problems, "\n  ")});
}

AdapterFiles combined_header(const std::vector<AdapterFiles>& adapters, const Method& method,
                             const CombineOptions& options) {
  AdapterFiles result;
  const AdapterFiles& first = adapters.front();
  result.config = first.config;
  result.base_model_class = first.base_model_class;
  result.parent_library = first.parent_library;
  AdapterConfig& config = result.config;
  FactorKeysEditor keys(method, config.method_keys);
  keys.set_rank(combined_rank(adapters, method, options));
  keys.set_alpha(static_cast<double>(keys.rank()));
  // PEFT keeps it and so scales the whole by the root of the rank.
  keys.set_by_root(false);
  keys.set_rank_pattern({});
  keys.set_alpha_pattern({});
  config.modules_to_save.clear();
  bool has_bias = false;
  bool alike = true;
  for (const AdapterFiles& adapter : adapters) {
    alike = alike && select_alike(first.config, adapter.config);
    has_bias = has_bias || FactorKeys(method, adapter.config.method_keys).has_bias();
    for (const std::string& module : adapter.config.modules_to_save) {
      if (std::ranges::count(config.modules_to_save, module) == 0) {
        config.modules_to_save.push_back(module);
      }
    }
    if (result.base_fingerprint.empty()) result.base_fingerprint = adapter.base_fingerprint;
    for (const RecordedLayer& layer : adapter.layers) {
      if (std::ranges::count(result.layers, layer.name, &RecordedLayer::name) == 0) {
        result.layers.push_back(layer);
      }
    }
  }
  keys.set_bias(has_bias);
  // A record of some layers only would be no record.
  if (!std::ranges::all_of(adapters, &AdapterFiles::has_tenon_json)) result.layers.clear();
  if (alike) {
    config.target_modules = joined_targets(adapters);
  } else {
    config.target_modules = layer_names(adapters, method);
    config.exclude_modules = {};
    config.layers_to_transform.clear();
    config.layers_pattern.clear();
  }
  return result;
}

}  // namespace tenon
