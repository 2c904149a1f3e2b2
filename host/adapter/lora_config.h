#pragma once

#include <string>

#include "base/json.h"
#include "config/adapter_config.h"

// adapter_config.json of method "lora": the keys of PEFT's LoraConfig.
namespace tenon {

// `file` is for messages. Throws Error{kAdapter} with every key that asks for what Tenon does not
// have or that has a wrong type.
AdapterConfig read_lora_config(const OrderedJson& json, const std::string& file);

// All keys that PEFT 0.21.2 writes, in its order.
OrderedJson write_lora_config(const AdapterConfig& config, const OrderedJson& auto_mapping,
                              const std::string& peft_version);

}  // namespace tenon
