// Reads the keys of PEFT's LoraConfig from JSON. A key is read, ignored because it changes no
// number that the adapter computes, or must be switched off.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

#include "adapter/json_problems.h"
#include "adapter/lora_config.h"
#include "adapter/lora_variants.h"
#include "config/lora_init.h"

namespace tenon {
namespace {

// Where the adapter came from, how PEFT ran it, and details of settings that are off or that only
// mattered for how it started.
constexpr std::array<std::string_view, 14> kIgnoredLoraKeys = {
    "auto_mapping",      "base_model_name_or_path",
    "corda_config",      "eva_config",
    "inference_mode",    "lora_ga_config",
    "loftq_config",      "megatron_core",
    "peft_type",         "peft_version",
    "qalora_group_size", "revision",
    "runtime_config",    "task_type"};

std::string nested(const std::string& table, const std::string& key) {
  return std::string(table).append(".").append(key);
}

// PEFT fails on null for these, so no default can be meant by it.
constexpr std::array<std::string_view, 4> kNeverNull = {"r", "lora_alpha", "lora_dropout", "bias"};

// Reads one PEFT config, key by key; null leaves the default of all but kNeverNull.
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
  static const std::array<KeyReader, 19> kReaders;

  void read_key(const std::string& key, const OrderedJson& value) {
    const auto* reader =
        std::find_if(kReaders.begin(), kReaders.end(), [&](const auto& r) { return r.key == key; });
    if (reader != kReaders.end()) {
      config_.given.insert(key);
      const bool is_read = !value.is_null() || std::ranges::count(kNeverNull, key) > 0;
      if (is_read) (this->*reader->read)(key, value);
      return;
    }
    const bool ignored =
        std::find(kIgnoredLoraKeys.begin(), kIgnoredLoraKeys.end(), key) != kIgnoredLoraKeys.end();
    // A variant whose config is empty runs by its defaults.
    const std::string_view variant = foreign_variant(key);
    const bool is_on = !is_off(value) || (!variant.empty() && value.is_object());
    if (!ignored && is_on) unsupported(key, value, variant);
  }

  void unsupported(const std::string& key, const OrderedJson& value, std::string_view what = "") {
    problems_.add("`" + key + "` = " + json_excerpt(value) + " is not supported" +
                  (what.empty() ? "" : ": ") + std::string(what));
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

  void read_truth(const std::string& key, const OrderedJson& value, bool& truth) {
    if (!value.is_boolean()) return problems_.wrong_type(key, "true or false", value);
    truth = value.get<bool>();
  }
  void read_use_rslora(const std::string& key, const OrderedJson& value) {
    read_truth(key, value, config_.use_rslora);
  }
  void read_use_dora(const std::string& key, const OrderedJson& value) {
    read_truth(key, value, config_.use_dora);
  }
  void read_lora_bias(const std::string& key, const OrderedJson& value) {
    read_truth(key, value, config_.lora_bias);
  }
  void read_fan_in_fan_out(const std::string& key, const OrderedJson& value) {
    read_truth(key, value, config_.fan_in_fan_out);
  }
  void read_weight_tying(const std::string& key, const OrderedJson& value) {
    read_truth(key, value, config_.ensure_weight_tying);
  }

  void read_bias(const std::string& key, const OrderedJson& value) {
    if (value != "none" && value != "all" && value != "lora_only") {
      return problems_.wrong_type(key, "\"none\", \"all\" or \"lora_only\"", value);
    }
    config_.bias = value.get<std::string>();
  }

  // How the tensors started no longer matters, unless the start changed the base's weights too.
  // From data that change cannot be made again.
  void read_init(const std::string& key, const OrderedJson& value) {
    if (value.is_boolean()) {
      config_.init_lora_weights = value.get<bool>() ? "default" : "random";
      return;
    }
    if (!value.is_string()) return problems_.wrong_type(key, "true, false or a string", value);
    const std::string name = value.get<std::string>();
    const std::optional<std::string> known = known_lora_init(name);
    if (known == "eva") return;
    if (known && known != "corda") {
      config_.init_lora_weights = *known;
      return;
    }
    const auto foreign = foreign_lora_init(name);
    const std::string start = known ? "CorDA" : foreign ? std::string(foreign->name) : "";
    unsupported(key, value,
                start.empty() ? "an unknown start"
                              : start +
                                    "; PEFT's save_pretrained converts adapters that began by "
                                    "changing the base's weights, with "
                                    "path_initial_model_for_weight_conversion");
  }

  std::vector<std::int64_t> read_tokens(const std::string& key, const OrderedJson& value) {
    if (value.is_array() && std::all_of(value.begin(), value.end(), is_integer)) {
      return value.get<std::vector<std::int64_t>>();
    }
    problems_.wrong_type(key, "a list of token numbers", value);
    return {};
  }

  void read_trainable_tokens(const std::string& key, const OrderedJson& value) {
    if (value.is_array()) {
      config_.trainable_tokens.push_back({"", read_tokens(key, value)});
    } else if (value.is_object()) {
      for (const auto& [module, tokens] : value.items()) {
        config_.trainable_tokens.push_back({module, read_tokens(nested(key, module), tokens)});
      }
    } else {
      problems_.wrong_type(key, "a list of token numbers or a table of such lists", value);
    }
  }

  void read_target_modules(const std::string& key, const OrderedJson& value) {
    config_.target_modules = read_rule(key, value);
  }

  void read_target_parameters(const std::string& key, const OrderedJson& value) {
    config_.target_parameters = read_names(key, value, "a list of names");
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
    if (is_off(value)) return;
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

const std::array<ConfigReader::KeyReader, 19> ConfigReader::kReaders = {
    {{"r", &ConfigReader::read_r},
     {"lora_alpha", &ConfigReader::read_lora_alpha},
     {"lora_dropout", &ConfigReader::read_lora_dropout},
     {"use_rslora", &ConfigReader::read_use_rslora},
     {"bias", &ConfigReader::read_bias},
     {"use_dora", &ConfigReader::read_use_dora},
     {"lora_bias", &ConfigReader::read_lora_bias},
     {"fan_in_fan_out", &ConfigReader::read_fan_in_fan_out},
     {"ensure_weight_tying", &ConfigReader::read_weight_tying},
     {"trainable_token_indices", &ConfigReader::read_trainable_tokens},
     {"init_lora_weights", &ConfigReader::read_init},
     {"target_modules", &ConfigReader::read_target_modules},
     {"target_parameters", &ConfigReader::read_target_parameters},
     {"exclude_modules", &ConfigReader::read_exclude_modules},
     {"modules_to_save", &ConfigReader::read_modules_to_save},
     {"layers_to_transform", &ConfigReader::read_layers_to_transform},
     {"layers_pattern", &ConfigReader::read_layers_pattern},
     {"rank_pattern", &ConfigReader::read_rank_pattern},
     {"alpha_pattern", &ConfigReader::read_alpha_pattern}}};

}  // namespace

AdapterConfig read_lora_config(const OrderedJson& json, const std::string& file) {
  return ConfigReader(json).read(file);
}

}  // namespace tenon
