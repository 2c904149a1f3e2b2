#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "config/adapter_config.h"

namespace tenon {

// An option's value in JSON. JSON has no infinity and no NaN: {"float": "inf"}.
nlohmann::ordered_json option_to_json(const OptionValue& value);
// nullopt for what is no option: a list of lists, a whole number beyond 64 bits.
std::optional<OptionValue> option_from_json(const nlohmann::ordered_json& json);

// A regular expression as a string, names as a list, nothing as null.
nlohmann::ordered_json rule_to_json(const ModuleRule& rule);

}  // namespace tenon
