#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

// JSON that nobody vouches for.
namespace tenon {

using Json = nlohmann::json;                 // tables sorted by key, quick with many keys
using OrderedJson = nlohmann::ordered_json;  // tables in the order of the text

// A name given twice in one table and nesting deeper than 32 are errors, as is anything that is not
// JSON. Throws Error(`context`) whose message is the subject ("its header") of what is wrong.
Json parse_json(std::string_view text, const Failure& context);
OrderedJson parse_ordered_json(std::string_view text, const Failure& context);

// "a string", "a list", "a number", ... for messages.
std::string json_kind(const OrderedJson& value);

// The value as compact JSON for messages, shortened when long.
std::string json_excerpt(const OrderedJson& value);

}  // namespace tenon
