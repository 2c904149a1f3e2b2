#pragma once

#include <optional>

#include "base/json.h"
#include "config/adapter_config.h"

namespace tenon {

// An option's value in JSON. JSON has no infinity and no NaN: {"float": "inf"}.
OrderedJson option_to_json(const OptionValue& value);
// nullopt for what is no option: a table, a list of lists.
std::optional<OptionValue> option_from_json(const OrderedJson& json);

}  // namespace tenon
