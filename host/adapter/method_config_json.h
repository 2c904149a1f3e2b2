#pragma once

#include <string>

#include "base/json.h"
#include "config/adapter_config.h"

// adapter_config.json: the keys that the host reads for all methods, and the method's own as plain
// values, whose meaning is its plugin's.
namespace tenon {

// Throws Error{Stage::kAdapter} with every problem.
AdapterConfig read_method_config(const OrderedJson& json, const std::string& peft_type,
                                 const std::string& file);

OrderedJson write_method_config(const AdapterConfig& config, const OrderedJson& auto_mapping,
                                const char* peft_version);

}  // namespace tenon
