#pragma once

#include <string_view>

#include "base/json.h"

namespace tenon {

// Whether a value in PEFT's config switches its key off: null, false, or nothing in it.
bool is_off(const OrderedJson& value);

// The name of the variant of LoRA that a key of PEFT's config asks for and Tenon does not have:
// "KaSA" of kasa_config; "" for keys that are no such variant.
std::string_view foreign_variant(std::string_view key);

}  // namespace tenon
