#include "plan/layer_options.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/suggest.h"
#include "plan/factor_keys.h"

namespace tenon {
namespace {

std::string own_key(const std::string& parameter, const std::string& key) {
  return parameter + "." + key;
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
  if (method_.factors() == nullptr) return keys;
  // A start from data is the method's, not the layer's.
  FactorKeysEditor factors(method_, keys);
  if (factors.starts_from_data()) factors.set_plain_start();
  return keys;
}

OptionTable LayerOptions::parameter_keys(const std::string& module,
                                         const std::vector<std::string>& parameters) const {
  OptionTable keys = method_keys(module + "." + parameters.front());
  for (const std::string& parameter : parameters) {
    const OptionTable own = method_keys(std::string(module).append(".").append(parameter));
    for (const std::string& key : keys_.patterned()) keys[own_key(parameter, key)] = own.at(key);
  }
  return keys;
}

std::string LayerOptions::ignored(const OptionTable& keys,
                                  const std::set<std::string>& asked) const {
  for (const DeclaredOption& key : method_.keys()) {
    const bool is_set = key.heeded && !same_option(keys.at(key.key), key.initial);
    if (is_set && !asked.contains(key.key)) return key.key;
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

const OptionValue& own_option(const OptionTable& options, const std::string& parameter,
                              const std::string& key) {
  const auto own = options.find(own_key(parameter, key));
  return own == options.end() ? options.at(key) : own->second;
}

OwnOption other_than_the_layers(const LayerFacts& facts, const OptionTable& options,
                                const std::set<std::string>& asked) {
  for (const WeightFacts& weight : facts.description().weights) {
    const std::string prefix = weight.name + ".";
    for (auto own = options.lower_bound(prefix);
         own != options.end() && own->first.starts_with(prefix); ++own) {
      const std::string key = own->first.substr(prefix.size());
      const auto of_layer = options.find(key);
      if (of_layer == options.end() || same_option(own->second, of_layer->second)) continue;
      if (!asked.contains(own->first)) return {weight.name, key};
    }
  }
  return {};
}

}  // namespace tenon
