#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/adapter_config.h"

namespace tenon {

// "bert" of transformers.models.bert.modeling_bert.BertForMaskedLM, as transformers' configs name
// the type; "" if the class tells none.
std::string model_type_of(std::string_view root_class);

// The layers that LoRA adapts in a model of that type where target_modules does not say (PEFT:
// TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING); nothing if there is no custom.
std::optional<ModuleRule> default_targets(std::string_view model_type);

}  // namespace tenon
