#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/adapter_config.h"

namespace tenon {

// "bert" of transformers.models.bert.modeling_bert.BertForMaskedLM, as transformers' configs name
// the type, one of the `presets` if the class may mean several; "" if it tells none.
std::string model_type_of(std::string_view root_class, const DefaultTargets& presets);

// The layers that a method adapts in a model of that type where target_modules does not say;
// nothing if there is no preset.
std::optional<ModuleRule> default_targets(std::string_view model_type,
                                          const DefaultTargets& presets);

}  // namespace tenon
