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

std::vector<std::string> read_names(const std::string& key, const OrderedJson& value,
                                    std::string_view wanted, JsonProblems& problems) {
  if (is_names(value)) return value.get<std::vector<std::string>>();
  problems.wrong_type(key, wanted, value);
  return {};
}

void read_layer_numbers(const std::string& key, const OrderedJson& value, AdapterConfig& config,
                        JsonProblems& problems) {
  if (is_integer(value)) {
    config.layers_to_transform = {value.get<std::int64_t>()};
  } else if (value.is_array() && std::all_of(value.begin(), value.end(), is_integer)) {
    config.layers_to_transform = value.get<std::vector<std::int64_t>>();
  } else {
    problems.wrong_type(key, "a whole number or a list of them", value);
  }
}

void read_layers_pattern(const std::string& key, const OrderedJson& value, AdapterConfig& config,
                         JsonProblems& problems) {
  const bool is_off = value == "" || (value.is_array() && value.empty());
  if (is_off) return;
  config.layers_pattern = value.is_string()
                              ? std::vector{value.get<std::string>()}
                              : read_names(key, value, "a name or a list of names", problems);
}

std::vector<std::int64_t> read_tokens(const std::string& key, const OrderedJson& value,
                                      JsonProblems& problems) {
  if (value.is_array() && std::all_of(value.begin(), value.end(), is_integer)) {
    return value.get<std::vector<std::int64_t>>();
  }
  problems.wrong_type(key, "a list of token numbers", value);
  return {};
}

void read_token_rows(const std::string& key, const OrderedJson& value, AdapterConfig& config,
                     JsonProblems& problems) {
  if (value.is_array()) {
    config.trainable_tokens.push_back({"", read_tokens(key, value, problems)});
  } else if (value.is_object()) {
    for (const auto& [module, tokens] : value.items()) {
      const std::string name = std::string(key).append(".").append(module);
      config.trainable_tokens.push_back({module, read_tokens(name, tokens, problems)});
    }
  } else {
    problems.wrong_type(key, "a list of token numbers or a table of such lists", value);
  }
}

void read_bias(const std::string& key, const OrderedJson& value, AdapterConfig& config,
               JsonProblems& problems) {
  if (!value.is_string()) return problems.wrong_type(key, "a string", value);
  config.bias = value.get<std::string>();
}

void read_tying(const std::string& key, const OrderedJson& value, AdapterConfig& config,
                JsonProblems& problems) {
  if (!value.is_boolean()) return problems.wrong_type(key, "true or false", value);
  config.ensure_weight_tying = value.get<bool>();
}

// The host's own keys; null leaves the default of all but `bias`.
bool read_own_key(const std::string& key, const OrderedJson& value, AdapterConfig& config,
                  JsonProblems& problems) {
  using Read = void (*)(const std::string&, const OrderedJson&, AdapterConfig&, JsonProblems&);
  static const std::map<std::string_view, Read> readers = {
      {"target_modules", [](const auto& name, const auto& json, auto& out,
                            auto& told) { out.target_modules = read_rule(name, json, told); }},
      {"exclude_modules", [](const auto& name, const auto& json, auto& out,
                             auto& told) { out.exclude_modules = read_rule(name, json, told); }},
      {"modules_to_save",
       [](const auto& name, const auto& json, auto& out, auto& told) {
         out.modules_to_save = read_names(name, json, "a list of names", told);
       }},
      {"target_parameters",
       [](const auto& name, const auto& json, auto& out, auto& told) {
         out.target_parameters = read_names(name, json, "a list of names", told);
       }},
      {"layers_to_transform", read_layer_numbers},
      {"layers_pattern", read_layers_pattern},
      {"trainable_token_indices", read_token_rows},
      {"bias", read_bias},
      {"ensure_weight_tying", read_tying}};
  const auto reader = readers.find(key);
  if (reader == readers.end()) return false;
  if (!value.is_null() || key == "bias") reader->second(key, value, config, problems);
  return true;
}

void read_key(const std::string& key, const OrderedJson& value, AdapterConfig& config,
              JsonProblems& problems) {
  if (read_own_key(key, value, config, problems)) return;
  if (const auto option = option_from_json(value)) {
    config.method_keys[key] = *option;
  } else {
    problems.add("`" + key + "` = " + json_excerpt(value) + " is not supported");
  }
}

// A list is for the input embedding, a table names embeddings.
OrderedJson tokens_to_json(const std::vector<TokenRows>& rules) {
  if (rules.empty()) return nullptr;
  if (rules.front().module.empty()) return rules.front().tokens;
  OrderedJson table = OrderedJson::object();
  for (const TokenRows& rule : rules) table[rule.module] = rule.tokens;
  return table;
}

}  // namespace

AdapterConfig read_method_config(const OrderedJson& json, const std::string& peft_type,
                                 const std::string& file) {
  AdapterConfig config;
  config.location = file;
  config.method = "";
  config.is_saved = true;
  config.peft_type = peft_type;
  JsonProblems problems;
  for (const auto& [key, value] : json.items()) {
    if (std::find(kIgnoredMethodKeys.begin(), kIgnoredMethodKeys.end(), key) !=
        kIgnoredMethodKeys.end())
      continue;
    config.explicit_keys.insert(key);
    read_key(key, value, config, problems);
  }
  problems.throw_if_any(
      {.stage = Stage::kAdapter,
       .message = "the adapter's config cannot be used:",
       .hint = "train the adapter without what is not supported, or merge it into the "
               "model with PEFT",
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
  const auto writes = [&](const char* key) { return config.writes.contains(key); };
  const auto list = [](const auto& items) {
    return items.empty() ? OrderedJson() : OrderedJson(items);
  };
  const bool excludes = !std::holds_alternative<std::monostate>(config.exclude_modules);
  if (excludes || writes("exclude_modules")) {
    keys["exclude_modules"] = rule_to_json(config.exclude_modules);
  }
  if (writes("layers_to_transform")) {
    keys["layers_to_transform"] = list(config.layers_to_transform);
    keys["layers_pattern"] = list(config.layers_pattern);
  }
  if (!config.target_parameters.empty() || writes("target_parameters")) {
    keys["target_parameters"] = list(config.target_parameters);
  }
  if (writes("bias")) keys["bias"] = config.bias;
  if (writes("ensure_weight_tying")) keys["ensure_weight_tying"] = config.ensure_weight_tying;
  if (writes("trainable_token_indices")) {
    keys["trainable_token_indices"] = tokens_to_json(config.trainable_tokens);
  }
  for (const auto& [key, value] : config.method_keys) keys[key] = option_to_json(value);
  OrderedJson json = OrderedJson::object();
  for (const auto& [key, value] : keys) json[key] = value;
  return json;
}

}  // namespace tenon
