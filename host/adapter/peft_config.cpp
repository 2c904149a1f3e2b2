// Reads adapter_config.json: PEFT's LoraConfig as JSON. A key is read, ignored because it changes
// no number that the adapter computes, or must be switched off.
#include "adapter/peft_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>

#include "adapter/json_problems.h"
#include "adapter/method_config_json.h"
#include "base/json.h"

namespace tenon {
namespace {

// Where the adapter came from, how PEFT ran it, and details of settings that are off.
constexpr std::array<std::string_view, 11> kIgnoredKeys = {
    "auto_mapping",   "base_model_name_or_path",
    "fan_in_fan_out",
    "inference_mode", "megatron_core",
    "peft_version",   "qalora_group_size",
    "revision",       "runtime_config",
    "task_type",      "peft_type"};

OrderedJson parse(std::string_view text, const std::string& file) {
  OrderedJson json = parse_ordered_json(text, {.stage = Stage::kAdapter,
                                               .message = "the adapter's config",
                                               .hint = "save the adapter again",
                                               .location = file});
  if (json.is_object()) return json;
  throw Error({.stage = Stage::kAdapter,
               .message = "the adapter's config is " + json_kind(json) + ", not a table",
               .hint = "save the adapter again",
               .location = file});
}

// Other types than "LORA" are those of plugins' methods.
std::string peft_type(const OrderedJson& json, const std::string& file) {
  const auto type = json.find("peft_type");
  if (type != json.end() && type->is_string()) return type->get<std::string>();
  throw Error({.stage = Stage::kAdapter,
               .message = type == json.end()
                              ? "the adapter's config has no `peft_type`"
                              : "`peft_type` " + json_excerpt(*type) + " is not a text",
               .hint = "save the adapter again",
               .location = file});
}

bool is_empty_text(const OrderedJson& value) {
  return value.is_string() && value.get_ref<const std::string&>().empty();
}

bool is_off(const OrderedJson& value) {
  return value.is_null() || value == false || is_empty_text(value) ||
         (value.is_structured() && value.empty());
}

std::string nested(const std::string& table, const std::string& key) {
  return std::string(table).append(".").append(key);
}

// Reads one PEFT config, key by key; null leaves the default.
class ConfigReader {
 public:
  explicit ConfigReader(const OrderedJson& json) : json_(json) {}

  AdapterConfig read(const std::string& file) {
    config_.location = file;
    for (const auto& [key, value] : json_.items()) read_key(key, value);
    problems_.throw_if_any(
        {.stage = Stage::kAdapter,
         .message = "the adapter's config cannot be used:",
         .hint = "train the adapter without what is not supported, or merge it into the model with "
                 "PEFT",
         .location = file});
    return std::move(config_);
  }

 private:
  struct KeyReader {
    std::string_view key;
    void (ConfigReader::*read)(const std::string& key, const OrderedJson& value);
  };
  static const std::array<KeyReader, 13> kReaders;

  void read_key(const std::string& key, const OrderedJson& value) {
    const auto* reader =
        std::find_if(kReaders.begin(), kReaders.end(), [&](const auto& r) { return r.key == key; });
    if (reader != kReaders.end()) {
      config_.given.insert(key);
      if (!value.is_null()) (this->*reader->read)(key, value);
      return;
    }
    const bool ignored =
        std::find(kIgnoredKeys.begin(), kIgnoredKeys.end(), key) != kIgnoredKeys.end();
    if (!ignored && !is_off(value)) unsupported(key, value);
  }

  void unsupported(const std::string& key, const OrderedJson& value, const std::string& why = "") {
    problems_.add("`" + key + "` = " + json_excerpt(value) + " is not supported" + why);
  }

  void read_r(const std::string& key, const OrderedJson& value) {
    if (!is_integer(value) || value < 1) return problems_.wrong_type(key, kPositive, value);
    config_.r = value.get<std::int64_t>();
  }

  void read_lora_alpha(const std::string& key, const OrderedJson& value) {
    if (!value.is_number()) return problems_.wrong_type(key, "a number", value);
    config_.lora_alpha = value.get<double>();
  }

  void read_lora_dropout(const std::string& key, const OrderedJson& value) {
    if (!value.is_number() || value < 0 || value > 1) {
      return problems_.wrong_type(key, "a number from 0 to 1", value);
    }
    config_.lora_dropout = value.get<double>();
  }

  void read_use_rslora(const std::string& key, const OrderedJson& value) {
    if (!value.is_boolean()) return problems_.wrong_type(key, "true or false", value);
    config_.use_rslora = value.get<bool>();
  }

  void read_bias(const std::string& key, const OrderedJson& value) {
    if (value != "none") unsupported(key, value);
  }

  // How the tensors started no longer matters, unless the start changed the base's weights too.
  void read_init(const std::string& key, const OrderedJson& value) {
    if (value.is_boolean()) {
      config_.init_lora_weights = value.get<bool>() ? LoraInit::kDefault : LoraInit::kRandom;
      return;
    }
    if (!value.is_string()) return problems_.wrong_type(key, "true, false or a string", value);
    std::string name = value.get<std::string>();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name == "gaussian") {
      config_.init_lora_weights = LoraInit::kGaussian;
    } else if (name != "orthogonal") {
      unsupported(key, value,
                  " (it may change the base's weights; PEFT's save_pretrained converts such an "
                  "adapter with path_initial_model_for_weight_conversion)");
    }
  }

  void read_target_modules(const std::string& key, const OrderedJson& value) {
    config_.target_modules = read_rule(key, value);
  }

  void read_exclude_modules(const std::string& key, const OrderedJson& value) {
    config_.exclude_modules = read_rule(key, value);
  }

  void read_modules_to_save(const std::string& key, const OrderedJson& value) {
    config_.modules_to_save = read_names(key, value, "a list of names");
  }

  void read_layers_to_transform(const std::string& key, const OrderedJson& value) {
    if (is_integer(value)) {
      config_.layers_to_transform = {value.get<std::int64_t>()};
    } else if (value.is_array() && std::all_of(value.begin(), value.end(), is_integer)) {
      config_.layers_to_transform = value.get<std::vector<std::int64_t>>();
    } else {
      problems_.wrong_type(key, "a whole number or a list of them", value);
    }
  }

  void read_layers_pattern(const std::string& key, const OrderedJson& value) {
    if (is_empty_text(value)) return;
    config_.layers_pattern = value.is_string()
                                 ? std::vector{value.get<std::string>()}
                                 : read_names(key, value, "a name or a list of names");
  }

  void read_rank_pattern(const std::string& key, const OrderedJson& value) {
    if (!value.is_object()) return problems_.wrong_type(key, "a table", value);
    for (const auto& [expression, rank] : value.items()) {
      if (is_integer(rank) && rank >= 1) {
        config_.rank_pattern.emplace_back(expression, rank.get<std::int64_t>());
      } else {
        problems_.wrong_type(nested(key, expression), kPositive, rank);
      }
    }
  }

  void read_alpha_pattern(const std::string& key, const OrderedJson& value) {
    if (!value.is_object()) return problems_.wrong_type(key, "a table", value);
    for (const auto& [expression, alpha] : value.items()) {
      if (alpha.is_number()) {
        config_.alpha_pattern.emplace_back(expression, alpha.get<double>());
      } else {
        problems_.wrong_type(nested(key, expression), "a number", alpha);
      }
    }
  }

  ModuleRule read_rule(const std::string& key, const OrderedJson& value) {
    if (value.is_string()) return Regex{value.get<std::string>()};
    return read_names(key, value, "a regular expression or a list of names");
  }

  std::vector<std::string> read_names(const std::string& key, const OrderedJson& value,
                                      std::string_view wanted) {
    const bool names =
        value.is_array() && std::all_of(value.begin(), value.end(),
                                        [](const OrderedJson& item) { return item.is_string(); });
    if (names) return value.get<std::vector<std::string>>();
    problems_.wrong_type(key, wanted, value);
    return {};
  }

  static constexpr std::string_view kPositive = "a whole number from 1 up";

  const OrderedJson& json_;
  AdapterConfig config_;
  JsonProblems problems_;
};

const std::array<ConfigReader::KeyReader, 13> ConfigReader::kReaders = {
    {{"r", &ConfigReader::read_r},
     {"lora_alpha", &ConfigReader::read_lora_alpha},
     {"lora_dropout", &ConfigReader::read_lora_dropout},
     {"use_rslora", &ConfigReader::read_use_rslora},
     {"bias", &ConfigReader::read_bias},
     {"init_lora_weights", &ConfigReader::read_init},
     {"target_modules", &ConfigReader::read_target_modules},
     {"exclude_modules", &ConfigReader::read_exclude_modules},
     {"modules_to_save", &ConfigReader::read_modules_to_save},
     {"layers_to_transform", &ConfigReader::read_layers_to_transform},
     {"layers_pattern", &ConfigReader::read_layers_pattern},
     {"rank_pattern", &ConfigReader::read_rank_pattern},
     {"alpha_pattern", &ConfigReader::read_alpha_pattern}}};

}  // namespace

AdapterConfig read_peft_config(std::string_view json, const std::string& file) {
  const OrderedJson parsed = parse(json, file);
  AdapterConfig config = peft_type(parsed, file) == "LORA" ? ConfigReader(parsed).read(file)
                                                           : read_method_config(parsed, file);
  // Tensors of what does not match are missed when they are assigned.
  config.lenient_keys = {"target_modules", "exclude_modules", "modules_to_save", "rank_pattern",
                         "alpha_pattern"};
  return config;
}

BaseModelClass read_base_model_class(std::string_view json, const std::string& file) {
  const OrderedJson parsed = parse(json, file);
  const auto mapping = parsed.find("auto_mapping");
  if (mapping == parsed.end() || !mapping->is_object()) return {};
  const auto text = [&](const char* key) {
    const auto found = mapping->find(key);
    return found != mapping->end() && found->is_string() ? found->get<std::string>() : "";
  };
  return {.name = text("base_model_class"), .parent_library = text("parent_library")};
}

}  // namespace tenon
