#include "adapter/method_config_json.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "adapter/json_problems.h"
#include "adapter/option_json.h"

namespace tenon {
namespace {

// Where the adapter came from; nothing that changes what it computes.
constexpr std::array<std::string_view, 8> kIgnoredMethodKeys = {
    "auto_mapping", "base_model_name_or_path", "inference_mode", "peft_type", "peft_version",
    "revision",     "runtime_config",          "task_type"};

bool is_names(const OrderedJson& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(),
                                         [](const OrderedJson& item) { return item.is_string(); });
}

ModuleRule read_rule(const std::string& key, const OrderedJson& value, JsonProblems& problems) {
  if (value.is_string()) return Regex{value.get<std::string>()};
  if (is_names(value)) return value.get<std::vector<std::string>>();
  problems.wrong_type(key, "a regular expression or a list of names", value);
  return {};
}

void read_key(const std::string& key, const OrderedJson& value, AdapterConfig& config,
              JsonProblems& problems) {
  if (value.is_null()) return;
  if (key == "target_modules") {
    config.target_modules = read_rule(key, value, problems);
  } else if (key == "exclude_modules") {
    config.exclude_modules = read_rule(key, value, problems);
  } else if (key == "modules_to_save") {
    if (is_names(value)) {
      config.modules_to_save = value.get<std::vector<std::string>>();
    } else {
      problems.wrong_type(key, "a list of names", value);
    }
  } else if (key == "layers_to_transform") {
    if (is_integer(value)) {
      config.layers_to_transform = {value.get<std::int64_t>()};
    } else if (value.is_array() && std::all_of(value.begin(), value.end(), is_integer)) {
      config.layers_to_transform = value.get<std::vector<std::int64_t>>();
    } else {
      problems.wrong_type(key, "a whole number or a list of them", value);
    }
  } else if (key == "layers_pattern") {
    if (value.is_string() && !value.get<std::string>().empty()) {
      config.layers_pattern = {value.get<std::string>()};
    } else if (is_names(value)) {
      config.layers_pattern = value.get<std::vector<std::string>>();
    } else if (!value.is_string()) {
      problems.wrong_type(key, "a name or a list of names", value);
    }
  } else if (value.is_object() && value.empty()) {
    return;  // a table that is off
  } else if (const auto option = option_from_json(value)) {
    config.method_keys[key] = *option;
  } else {
    problems.wrong_type(key, "true or false, a number, a string or a list of one of them", value);
  }
}

}  // namespace

AdapterConfig read_method_config(const OrderedJson& json, const std::string& file) {
  AdapterConfig config;
  config.location = file;
  config.method = "";
  config.peft_type = json["peft_type"].get<std::string>();
  JsonProblems problems;
  for (const auto& [key, value] : json.items()) {
    if (std::find(kIgnoredMethodKeys.begin(), kIgnoredMethodKeys.end(), key) !=
        kIgnoredMethodKeys.end())
      continue;
    config.given.insert(key);
    read_key(key, value, config, problems);
  }
  problems.throw_if_any({.stage = Stage::kAdapter,
                         .message = "the adapter's config cannot be used:",
                         .hint = "save the adapter again",
                         .location = file});
  return config;
}

OrderedJson write_method_config(const AdapterConfig& config, const OrderedJson& auto_mapping,
                                const char* peft_version) {
  std::map<std::string, OrderedJson> keys = {
      {"auto_mapping", auto_mapping},
      {"base_model_name_or_path", nullptr},
      {"inference_mode", true},
      {"modules_to_save",
       config.modules_to_save.empty() ? OrderedJson() : OrderedJson(config.modules_to_save)},
      {"peft_type", config.peft_type},
      {"peft_version", peft_version},
      {"revision", nullptr},
      {"target_modules", rule_to_json(config.target_modules)},
      {"task_type", nullptr}};
  const bool excludes = !std::holds_alternative<std::monostate>(config.exclude_modules);
  if (excludes || config.writes_exclude) {
    keys["exclude_modules"] = rule_to_json(config.exclude_modules);
  }
  if (config.writes_layers) {
    const auto list = [](const auto& items) {
      return items.empty() ? OrderedJson() : OrderedJson(items);
    };
    keys["layers_to_transform"] = list(config.layers_to_transform);
    keys["layers_pattern"] = list(config.layers_pattern);
  }
  for (const auto& [key, value] : config.method_keys) keys[key] = option_to_json(value);
  OrderedJson json = OrderedJson::object();
  for (const auto& [key, value] : keys) json[key] = value;
  return json;
}

}  // namespace tenon
