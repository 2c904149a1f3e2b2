#include <cmath>
#include <cstdint>
#include <type_traits>

#include "adapter/lora_config.h"
#include "adapter/option_json.h"

namespace tenon {
namespace {

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

OrderedJson init_to_json(const std::string& init) {
  if (init == "default") return true;
  if (init == "random") return false;
  return init;
}

OrderedJson eva_to_json(const AdapterConfig& config) {
  if (config.init_lora_weights != "eva") return nullptr;
  const EvaConfig& eva = config.eva_config;
  return {{"adjust_scaling_factors", eva.adjust_scaling_factors},
          {"label_mask_value", eva.label_mask_value},
          {"rho", eva.rho},
          {"tau", eva.tau},
          {"use_label_mask", eva.use_label_mask},
          {"whiten", eva.whiten}};
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

OrderedJson write_lora_config(const AdapterConfig& config, const OrderedJson& auto_mapping,
                              const std::string& peft_version) {
  const OrderedJson off = nullptr;
  return {
      {"alora_invocation_tokens", off},
      {"alpha_pattern", pattern_to_json(config.alpha_pattern)},
      {"arrow_config", off},
      {"auto_mapping", auto_mapping},
      {"base_model_name_or_path", off},
      {"bias", config.bias},
      {"corda_config", off},
      {"ensure_weight_tying", config.ensure_weight_tying},
      {"eva_config", eva_to_json(config)},
      {"exclude_modules", rule_to_json(config.exclude_modules)},
      {"fan_in_fan_out", config.fan_in_fan_out},
      {"inference_mode", true},
      {"init_lora_weights", init_to_json(config.init_lora_weights)},
      {"kasa_config", off},
      {"layer_replication", off},
      {"layers_pattern", list_or_null(config.layers_pattern)},
      {"layers_to_transform", list_or_null(config.layers_to_transform)},
      {"loftq_config", OrderedJson::object()},
      {"lora_alpha", alpha_to_json(config.lora_alpha)},
      {"lora_bias", config.lora_bias},
      {"lora_dropout", config.lora_dropout},
      {"lora_ga_config", off},
      {"megatron_config", off},
      {"megatron_core", "megatron.core"},
      {"modules_to_save", list_or_null(config.modules_to_save)},
      {"monteclora_config", off},
      {"peft_type", "LORA"},
      {"peft_version", peft_version},
      {"qalora_group_size", 16},
      {"r", config.r},
      {"rank_pattern", pattern_to_json(config.rank_pattern)},
      {"revision", off},
      {"target_modules", rule_to_json(config.target_modules)},
      {"target_parameters", list_or_null(config.target_parameters)},
      {"task_type", off},
      {"trainable_token_indices", tokens_to_json(config.trainable_tokens)},
      {"use_bdlora", off},
      {"use_dora", config.use_dora},
      {"use_qalora", false},
      {"use_rslora", config.use_rslora},
      {"velora_config", off},
  };
}

}  // namespace tenon
