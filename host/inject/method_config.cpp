#include "inject/method_config.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/suggest.h"
#include "inject/rule_matcher.h"
#include "plugin/option_completion.h"

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

// PEFT's types whose layers its conversion to LoRA takes (supports_lora_conversion).
constexpr std::array<std::string_view, 14> kConvertedByPeft = {
    "C3A",   "DELORA",   "FOURIERFT", "GRALORA", "LOHA",   "LOKR", "MISS",
    "PSOFT", "RANDLORA", "TINYLORA",  "UNILORA", "VBLORA", "VERA", "WAVEFT"};

std::string way_out(const std::string& peft_type) {
  if (std::ranges::count(kConvertedByPeft, peft_type) > 0) {
    return "make LoRA of it in PEFT: peft.save_as_lora(folder, model, rank); ";
  }
  return "merge it into the model where PEFT can (merge_and_unload) and export that model; ";
}

// "It was made with plugin acme.vera 1.0.0 (SHA-256 ...), which is not here; "
std::string makers(const std::vector<RecordedLayer>& recorded) {
  std::set<std::string> plugins;
  for (const RecordedLayer& layer : recorded) {
    plugins.insert(layer.plugin + " " + layer.version + " (SHA-256 " + layer.sha256 + ")");
  }
  if (plugins.empty()) return "";
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
         recorded.empty() ? way_out(config.peft_type) + here : makers(recorded) + here);
  }
  const Method* found = methods.find(config.method);
  if (found == nullptr) {
    const std::string suggestion = did_you_mean(config.method, methods.names());
    fail(config, "there is no method `" + config.method + "`",
         suggestion.empty() ? here : suggestion + " " + here);
  }
  if (!config.peft_type.empty() && config.peft_type != found->peft_type()) {
    fail(config,
         "the adapter is of type " + config.peft_type + ", which method " + config.method +
             " cannot load",
         methods.find_peft_type(config.peft_type) == nullptr
             ? way_out(config.peft_type) + here
             : "leave `method` out to take the adapter's own");
  }
  return *found;
}

bool is_off(const OptionValue& value) {
  const auto* truth = std::get_if<bool>(&value);
  const auto* list = std::get_if<std::vector<std::int64_t>>(&value);
  const auto* table = std::get_if<OptionEntries>(&value);
  return std::holds_alternative<std::monostate>(value) || (truth != nullptr && !*truth) ||
         (list != nullptr && list->empty()) || (table != nullptr && table->items.empty()) ||
         same_option(value, std::int64_t{0});
}

// Keys that the method does not declare. An adapter's file may have keys of another PEFT version,
// which do nothing while they are off.
std::vector<OptionProblem> unknown_keys(const AdapterConfig& config, const Method& method) {
  const std::vector<std::string> known = option_keys(method.keys());
  std::vector<OptionProblem> problems;
  for (const auto& [key, value] : config.method_keys) {
    if (is_option_key(method.keys(), key)) continue;
    if (is_from_folder(config) && is_off(value)) continue;
    const std::string suggestion = did_you_mean(key, known);
    problems.push_back({key, "is not a key of method " + method.name() + "; " +
                                 (!suggestion.empty() ? suggestion
                                  : known.empty()     ? "it has none of its own"
                                                      : "its keys are " + join(known))});
  }
  return problems;
}

void throw_problems(const AdapterConfig& config, const std::vector<OptionProblem>& found) {
  if (found.empty()) return;
  if (is_from_folder(config)) {
    std::string text = "the adapter's config cannot be used:";
    for (const OptionProblem& problem : found) text += "\n  `" + problem.key + "` " + problem.text;
    fail(config, text, "");
  }
  Problems problems;
  for (const OptionProblem& problem : found) {
    const auto place = config.key_places.find(problem.key);
    problems.add(place == config.key_places.end() ? Place{.text = config.location} : place->second,
                 "`adapter." + problem.key + "` " + problem.text);
  }
  problems.throw_if_any(config.location);
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

}  // namespace

MethodConfig with_method(AdapterConfig config, const MethodTable& methods,
                         const std::vector<RecordedLayer>& recorded) {
  const Method& method = find_method(config, methods, recorded);
  std::vector<OptionProblem> problems = unknown_keys(config, method);
  config.method_keys = complete_options(method.keys(), config.method_keys, problems);
  throw_problems(config, problems);
  config.method = method.name();
  config.peft_type = method.peft_type();
  config.writes_exclude = method.excludes_in_peft();
  config.writes_layers = method.layers_in_peft();
  return {std::move(config), &method};
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
    if (config.allow_unmatched || config.lenient_keys.contains(key.pattern_key)) continue;
    for (const std::string& pattern : patterns.unused(targeted)) {
      problems.push_back("`" + key.pattern_key + "` \"" + pattern + "\" matches no adapted layer");
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
