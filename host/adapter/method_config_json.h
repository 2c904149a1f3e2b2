#pragma once

#include <string>

#include "base/json.h"
#include "config/adapter_config.h"

// adapter_config.json of a method that a plugin brings: the keys that all of PEFT's methods share,
// and the method's own as plain values, whose meaning is the plugin's.
namespace tenon {

// `json` has a `peft_type` that is a text. Throws Error{Stage::kAdapter} with every problem.
AdapterConfig read_method_config(const OrderedJson& json, const std::string& file);

OrderedJson write_method_config(const AdapterConfig& config, const OrderedJson& auto_mapping,
                                const char* peft_version);

}  // namespace tenon
