#include "plan/method_config.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/suggest.h"
#include "index/known_plugins.h"
#include "plugin/host_keys.h"
#include "plugin/option_completion.h"
#include "targets/rule_matcher.h"

namespace tenon {
namespace {

// An adapter's own file, which has no lines to point at.
bool is_from_folder(const AdapterConfig& config) { return config.location.ends_with(".json"); }

[[noreturn]] void fail(const AdapterConfig& config, const std::string& message,
                       const std::string& hint) {
  throw Error({.stage = is_from_folder(config) ? Stage::kAdapter : Stage::kConfig,
               .message = message,
               .hint = hint,
               .location = config.location});
}

std::string way_out(const std::string& peft_type, const MethodTable& methods) {
  const Method* general = methods.find_general();
  if (general != nullptr) {
    const std::string conversion = general->factors()->conversion_of(peft_type);
    if (!conversion.empty()) return conversion + "; ";
  }
  return "merge it into the model where PEFT can (merge_and_unload) and export that model; ";
}

// "It was made with plugin acme.vera 1.0.0 (SHA-256 ...), which is not here; "
std::string makers(const std::vector<RecordedLayer>& recorded) {
  std::set<std::string> plugins;
  std::set<std::string> lines;
  for (const RecordedLayer& layer : recorded) {
    plugins.insert(layer.plugin + " " + layer.version + " (SHA-256 " + layer.sha256 + ")");
    lines.insert(line_that_installs(layer.plugin));
  }
  lines.erase("");
  if (plugins.empty()) return "";
  if (!lines.empty()) {
    return "it was made with plugin " +
           join(std::vector<std::string>(plugins.begin(), plugins.end())) +
           "; type: " + join(std::vector<std::string>(lines.begin(), lines.end()), "; ") + "; ";
  }
  return "it was made with plugin " +
         join(std::vector<std::string>(plugins.begin(), plugins.end())) +
         ": put that file where plugins are found (`tenon plugins`); ";
}

const Method& find_method(const AdapterConfig& config, const MethodTable& methods,
                          const std::vector<RecordedLayer>& recorded) {
  const std::string here = "methods here: " + join(methods.names());
  if (config.method.empty()) {
    const Method* found = methods.find_peft_type(config.peft_type);
    if (found != nullptr) return *found;
    fail(config, "`peft_type` \"" + config.peft_type + "\" is no method of a plugin that is here",
         recorded.empty() ? way_out(config.peft_type, methods) + here : makers(recorded) + here);
  }
  const Method* found = methods.find(config.method);
  if (found == nullptr) {
    const std::vector<std::string> names = methods.names();
    if (std::ranges::count(names, config.method) > 0) {  // which was found, and then not loaded
      fail(config, "the plugin that offers method `" + config.method + "` was refused",
           "`tenon plugins --load` says why");
    }
    const std::string suggestion = did_you_mean(config.method, names);
    const std::string line = line_that_offers(config.method);
    if (!line.empty()) {
      fail(config, "there is no method `" + config.method + "`",
           "a plugin that offers it is known: " + line);
    }
    fail(config, "there is no method `" + config.method + "`",
         suggestion.empty() ? here : suggestion + " " + here);
  }
  if (!config.peft_type.empty() && config.peft_type != found->peft_type()) {
    fail(config,
         "the adapter is of type " + config.peft_type + ", which method " + config.method +
             " cannot load",
         methods.find_peft_type(config.peft_type) == nullptr
             ? way_out(config.peft_type, methods) + here
             : "leave `method` out to take the adapter's own");
  }
  return *found;
}

// Of a key that the method does not know at all, tables too.
bool is_off(const OptionValue& value) {
  const auto* table = std::get_if<OptionEntries>(&value);
  return is_switched_off(value) || (table != nullptr && table->items.empty()) ||
         same_option(value, std::int64_t{0});
}

// Drops keys of another PEFT version, which do nothing while they are off, from what is read from
// an adapter's own file; other keys that the method does not declare are problems.
void check_known_keys(AdapterConfig& config, const Method& method,
                      std::vector<OptionProblem>& problems) {
  const std::vector<std::string> known = option_keys(method.keys());
  std::vector<std::string> all = known;
  all.insert(all.end(), kHostKeys.begin(), kHostKeys.end());
  std::erase_if(config.method_keys, [&](const auto& entry) {
    const auto& [key, value] = entry;
    if (is_option_key(method.keys(), key)) return false;
    if (config.is_saved && is_off(value)) return true;
    const std::string suggestion = did_you_mean(key, all);
    problems.push_back({key, "is not a key of method " + method.name() + "; " +
                                 (!suggestion.empty() ? suggestion
                                  : known.empty()     ? "it has none of its own"
                                                      : "its keys are " + join(known))});
    return false;
  });
}

// Keys of the host's that not every method goes with. One that the method declares all the same, as
// PEFT has it in its config, is judged by that.
void check_own_keys(AdapterConfig& config, const Method& method,
                    std::vector<OptionProblem>& problems) {
  const AdapterConfig defaults;
  const auto refuse = [&](const char* key, const OptionValue& given) {
    if (is_option_key(method.keys(), key)) {
      config.method_keys[key] = given;
    } else {
      problems.push_back({key, "is not a key of method " + method.name()});
    }
  };
  if (!method.trains_biases() && config.bias != defaults.bias) {
    refuse("bias", std::exchange(config.bias, defaults.bias));
  }
  if (!method.ties_weights() && config.ensure_weight_tying) {
    refuse("ensure_weight_tying", std::exchange(config.ensure_weight_tying, false));
  }
  if (!method.trains_tokens() && !config.trainable_tokens.empty()) {
    refuse("trainable_token_indices", config.trainable_tokens.front().tokens);
  }
  const std::string some = method.name() + "_only";
  if (method.trains_biases() && config.bias != "none" && config.bias != "all" &&
      config.bias != some) {
    problems.push_back({"bias", "must be none, all or " + some + ", not `" + config.bias + "`"});
  }
  for (const TokenRows& rows : config.trainable_tokens) {
    if (rows.tokens.empty()) problems.push_back({"trainable_token_indices", "names no token"});
    if (std::ranges::any_of(rows.tokens, [](std::int64_t token) { return token < 0; })) {
      problems.push_back({"trainable_token_indices", "has a token below 0"});
    }
  }
}

void add_problems(const AdapterConfig& config, const std::vector<OptionProblem>& found,
                  Problems& problems) {
  for (const OptionProblem& problem : found) {
    const auto place = config.key_places.find(problem.key);
    problems.add(place == config.key_places.end() ? Place{.text = config.location} : place->second,
                 "`adapter." + problem.key + "` " + problem.text);
  }
}

void throw_problems(const AdapterConfig& config, const std::vector<OptionProblem>& found) {
  if (found.empty()) return;
  if (is_from_folder(config)) {
    std::string text = "the adapter's config cannot be used:";
    for (const OptionProblem& problem : found) text += "\n  `" + problem.key + "` " + problem.text;
    fail(config, text,
         "train the adapter without what is not supported, or merge it into the model with PEFT");
  }
  Problems problems;
  add_problems(config, found, problems);
  problems.throw_if_any(config.location);
}

std::vector<OptionProblem> settle_keys(AdapterConfig& config, const Method& method) {
  std::vector<OptionProblem> problems;
  check_known_keys(config, method, problems);
  check_own_keys(config, method, problems);
  config.method_keys = method.settled(config.method_keys, config.is_saved, problems);
  return problems;
}

ModuleRule to_rule(const OptionValue& value) {
  if (const auto* pattern = std::get_if<std::string>(&value)) return Regex{*pattern};
  if (const auto* names = std::get_if<std::vector<std::string>>(&value)) return *names;
  return {};
}

NamePatterns<OptionValue> patterns_in(const std::string& key, const OptionValue& value) {
  std::vector<std::pair<std::string, OptionValue>> patterns;
  if (const auto* table = std::get_if<OptionEntries>(&value)) {
    for (const OptionEntry& entry : table->items) patterns.emplace_back(entry.key, entry.value);
  }
  return {key, patterns};
}

std::set<std::string> own_keys_in_peft(const Method& method) {
  std::set<std::string> keys;
  if (method.excludes_in_peft()) keys.insert("exclude_modules");
  if (method.layers_in_peft()) keys.insert("layers_to_transform");
  if (method.parameters_in_peft()) keys.insert("target_parameters");
  if (method.trains_biases()) keys.insert("bias");
  if (method.trains_tokens()) keys.insert("trainable_token_indices");
  if (method.ties_weights()) keys.insert("ensure_weight_tying");
  return keys;
}

}  // namespace

MethodConfig with_method(AdapterConfig config, const MethodTable& methods,
                         const std::vector<RecordedLayer>& recorded) {
  const Method& method = find_method(config, methods, recorded);
  throw_problems(config, settle_keys(config, method));
  config.method = method.name();
  config.peft_type = method.peft_type();
  config.writes = own_keys_in_peft(method);
  return {std::move(config), &method};
}

void find_key_problems(AdapterConfig config, const MethodTable& methods, Problems& problems) {
  try {
    const Method& method = find_method(config, methods, {});
    const std::vector<OptionProblem> found = settle_keys(config, method);
    add_problems(config, found, problems);
  } catch (const Error& error) {  // of the method itself
    problems.add(Place{.text = config.location}, error.failure().message);
  }
}

LayerKeys::LayerKeys(const MethodConfig& method, const std::vector<std::string>& targeted)
    : keys_(method.config.method_keys) {
  std::vector<std::string> problems;
  for (const DeclaredOption& key : method.method->keys()) {
    if (!key.is_modules()) continue;
    RuleMatcher rule(key.key, to_rule(keys_.at(key.key)));
    std::vector<std::string>& meant = meant_[key.key];
    for (const std::string& path : targeted) {
      if (rule.matches(path)) meant.push_back(path);
    }
    for (std::string& entry : rule.unmatched(targeted)) problems.push_back(std::move(entry));
  }
  const AdapterConfig& config = method.config;
  for (const DeclaredOption& key : method.method->keys()) {
    if (key.pattern_key.empty()) continue;
    const NamePatterns<OptionValue>& patterns =
        patterns_.emplace(key.key, patterns_in(key.pattern_key, keys_.at(key.pattern_key)))
            .first->second;
    // Of a saved adapter the tensors tell what was adapted.
    auto& told = config.optional_keys.contains(key.pattern_key) ? notes_ : problems;
    for (const std::string& pattern : patterns.unused(targeted)) {
      told.push_back("`" + pattern + "` in " + key.pattern_key + " matches no targeted module");
    }
  }
  if (problems.empty()) return;
  throw Error({.stage = Stage::kInjection,
               .message = join(problems, "\n"),
               .hint = "it names layers among those that target_modules names",
               .location = method.config.location});
}

std::vector<std::string> LayerKeys::patterned() const {
  std::vector<std::string> keys;
  for (const auto& [key, patterns] : patterns_) keys.push_back(key);
  return keys;
}

OptionTable LayerKeys::at(const std::string& path) const {
  OptionTable keys = keys_;
  for (const auto& [key, patterns] : patterns_) {
    if (auto value = patterns.value(path)) keys[key] = *std::move(value);
  }
  for (const auto& [key, modules] : meant_) {
    keys[key] = std::find(modules.begin(), modules.end(), path) != modules.end();
  }
  return keys;
}

}  // namespace tenon
