#include <cmath>
#include <cstdint>
#include <type_traits>

#include "adapter/method_config_json.h"
#include "adapter/peft_config.h"
#include "base/json.h"

namespace tenon {
namespace {

constexpr const char* kPeftVersion = "0.21.2";

// PEFT's users write 16, not 16.0.
OrderedJson alpha_to_json(double value) {
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  if (std::trunc(value) == value && std::abs(value) <= kExactIntegers) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

template <typename T>
OrderedJson list_or_null(const std::vector<T>& list) {
  return list.empty() ? OrderedJson() : OrderedJson(list);
}

OrderedJson rule_to_json(const ModuleRule& rule) {
  if (const auto* regex = std::get_if<Regex>(&rule)) return regex->pattern;
  if (const auto* names = std::get_if<std::vector<std::string>>(&rule)) return *names;
  return nullptr;
}

template <typename T>
OrderedJson pattern_to_json(const std::vector<std::pair<std::string, T>>& pattern) {
  OrderedJson table = OrderedJson::object();
  for (const auto& [expression, value] : pattern) {
    if constexpr (std::is_same_v<T, double>) {
      table[expression] = alpha_to_json(value);
    } else {
      table[expression] = value;
    }
  }
  return table;
}

OrderedJson init_to_json(LoraInit init) {
  if (init == LoraInit::kGaussian) return "gaussian";
  return init == LoraInit::kDefault;
}

OrderedJson auto_mapping_to_json(const std::string& base_model_class,
                                 const std::string& parent_library) {
  if (base_model_class.empty()) return nullptr;
  return {{"base_model_class", base_model_class}, {"parent_library", parent_library}};
}

// Python's json.dumps escapes what is not ASCII.
std::string dump(const OrderedJson& json) {
  return json.dump(2, ' ', true, OrderedJson::error_handler_t::replace);
}

}  // namespace

std::string write_peft_config(const AdapterConfig& config, const std::string& base_model_class,
                              const std::string& parent_library) {
  if (config.method != "lora") {
    return dump(write_method_config(config, auto_mapping_to_json(base_model_class, parent_library),
                                    kPeftVersion));
  }
  const OrderedJson off = nullptr;
  const OrderedJson json = {
      {"alora_invocation_tokens", off},
      {"alpha_pattern", pattern_to_json(config.alpha_pattern)},
      {"arrow_config", off},
      {"auto_mapping", auto_mapping_to_json(base_model_class, parent_library)},
      {"base_model_name_or_path", off},
      {"bias", "none"},
      {"corda_config", off},
      {"ensure_weight_tying", false},
      {"eva_config", off},
      {"exclude_modules", rule_to_json(config.exclude_modules)},
      {"fan_in_fan_out", false},
      {"inference_mode", true},
      {"init_lora_weights", init_to_json(config.init_lora_weights)},
      {"kasa_config", off},
      {"layer_replication", off},
      {"layers_pattern", list_or_null(config.layers_pattern)},
      {"layers_to_transform", list_or_null(config.layers_to_transform)},
      {"loftq_config", OrderedJson::object()},
      {"lora_alpha", alpha_to_json(config.lora_alpha)},
      {"lora_bias", false},
      {"lora_dropout", config.lora_dropout},
      {"lora_ga_config", off},
      {"megatron_config", off},
      {"megatron_core", "megatron.core"},
      {"modules_to_save", list_or_null(config.modules_to_save)},
      {"monteclora_config", off},
      {"peft_type", "LORA"},
      {"peft_version", kPeftVersion},
      {"qalora_group_size", 16},
      {"r", config.r},
      {"rank_pattern", pattern_to_json(config.rank_pattern)},
      {"revision", off},
      {"target_modules", rule_to_json(config.target_modules)},
      {"target_parameters", off},
      {"task_type", off},
      {"trainable_token_indices", off},
      {"use_bdlora", off},
      {"use_dora", false},
      {"use_qalora", false},
      {"use_rslora", config.use_rslora},
      {"velora_config", off},
  };
  return dump(json);
}

}  // namespace tenon
