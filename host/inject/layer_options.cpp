#include "inject/layer_options.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "config/lora_init.h"

namespace tenon {
namespace {

// What the parameters of one module may have each of its own.
constexpr std::array<const char*, 2> kRankKeys{"r", "lora_alpha"};

std::string own_key(const std::string& parameter, const std::string& key) {
  return parameter + "." + key;
}

// As layer types see it: a start from data is the host's own.
std::string start_of_layer(const AdapterConfig& config) {
  return starts_from_data(config.init_lora_weights) ? "default" : config.init_lora_weights;
}

[[noreturn]] void fail(const RecordedLayer& record, const std::string& key,
                       const std::string& what) {
  throw Error({.stage = Stage::kInjection,
               .message = "option `" + key + "` of `" + record.name + "` " + what,
               .hint = "the adapter was made with plugin " + record.plugin + " " + record.version});
}

}  // namespace

OptionTable LayerOptions::method_keys(const std::string& path) const {
  OptionTable keys = keys_.at(path);
  if (config_.method != "lora") return keys;
  keys["r"] = ranks_.value(path).value_or(config_.r);
  keys["lora_alpha"] = alphas_.value(path).value_or(config_.lora_alpha);
  keys["lora_dropout"] = config_.lora_dropout;
  keys["use_rslora"] = config_.use_rslora;
  keys["init_lora_weights"] = start_of_layer(config_);
  keys["use_dora"] = config_.use_dora;
  keys["lora_bias"] = config_.lora_bias;
  return keys;
}

OptionTable LayerOptions::parameter_keys(const std::string& module,
                                         const std::vector<std::string>& parameters) const {
  OptionTable keys = method_keys(module + "." + parameters.front());
  std::vector<std::string> patterned = keys_.patterned();
  if (config_.method == "lora") patterned.assign(kRankKeys.begin(), kRankKeys.end());
  for (const std::string& parameter : parameters) {
    const OptionTable own = method_keys(std::string(module).append(".").append(parameter));
    for (const std::string& key : patterned) keys[own_key(parameter, key)] = own.at(key);
  }
  return keys;
}

std::string LayerOptions::ignored(const std::set<std::string>& asked) const {
  if (config_.method != "lora") return "";
  if (config_.use_dora && !asked.contains("use_dora")) return "use_dora";
  if (config_.lora_bias && !asked.contains("lora_bias")) return "lora_bias";
  if (start_of_layer(config_) != "default" && !asked.contains("init_lora_weights")) {
    return "init_lora_weights";
  }
  return "";
}

const OptionTable& LayerOptions::own(const LayerType& layer_type) {
  const auto known = own_.find(&layer_type);
  if (known != own_.end()) return known->second;
  OptionTable complete = complete_options(layer_type.options(), config_.options, problems_);
  return own_.emplace(&layer_type, std::move(complete)).first->second;
}

OptionTable LayerOptions::recorded(const LayerType& layer_type, const RecordedLayer& record) {
  const std::vector<std::string> known = option_keys(layer_type.options());
  for (const auto& [key, value] : record.options) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      fail(record, key, "is unknown to " + layer_type.id() + " " + layer_type.plugin().version);
    }
  }
  std::vector<OptionProblem> problems;
  OptionTable complete = complete_options(layer_type.options(), record.options, problems);
  for (const OptionProblem& problem : problems) fail(record, problem.key, problem.text);
  const OptionTable& wanted = own(layer_type);
  for (const auto& [key, value] : config_.options) {
    if (wanted.contains(key) && !same_option(wanted.at(key), complete.at(key))) {
      fail(record, key,
           "is " + option_text(complete.at(key)) +
               " in the saved adapter; leave it out of [adapter.options]");
    }
  }
  return complete;
}

void LayerOptions::throw_problems() const {
  Problems problems;
  const auto add = [&](const std::string& key, const std::string& text) {
    const auto place = config_.option_places.find(key);
    problems.add(
        place == config_.option_places.end() ? Place{.text = config_.location} : place->second,
        "`adapter.options." + key + "` " + text);
  };
  for (const OptionProblem& problem : problems_) add(problem.key, problem.text);
  std::set<std::string> known;
  std::vector<std::string> ids;
  for (const auto& [layer_type, table] : own_) {
    ids.push_back(layer_type->id());
    for (const auto& [key, value] : table) known.insert(key);
  }
  const std::vector<std::string> names(known.begin(), known.end());
  for (const auto& [key, value] : config_.options) {
    if (own_.empty() || known.contains(key)) continue;
    const std::string suggestion = did_you_mean(key, names);
    add(key, "is no option of " + join(ids) + "; " +
                 (!suggestion.empty() ? suggestion
                  : names.empty()     ? "they have none"
                                      : "known: " + join(names)));
  }
  problems.throw_if_any(config_.location);
}

const OptionValue& rank_option(const OptionTable& options, const std::string& parameter,
                               const std::string& key) {
  const auto own = options.find(own_key(parameter, key));
  return own == options.end() ? options.at(key) : own->second;
}

std::string own_rank(const LayerFacts& facts, const OptionTable& options,
                     const std::set<std::string>& asked) {
  for (const WeightFacts& weight : facts.description().weights) {
    for (const char* key : kRankKeys) {
      const auto own = options.find(own_key(weight.name, key));
      if (own != options.end() && own->second != options.at(key) && !asked.contains(own->first)) {
        return weight.name;
      }
    }
  }
  return "";
}

}  // namespace tenon
