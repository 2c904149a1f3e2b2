#pragma once

#include <string>
#include <string_view>

#include "config/adapter_config.h"

namespace tenon {

// adapter_config.json exactly as PEFT 0.21.2 writes it: all keys of LoraConfig, sorted, indent 2,
// inference_mode true, auto_mapping from the root's class.
std::string write_peft_config(const AdapterConfig& config, const std::string& base_model_class,
                              const std::string& parent_library);

// Reads what any PEFT from 0.10 on writes. `file` is for messages. A key that asks for a behaviour
// that is not supported (use_dora: true, bias: "all", ...) is an error naming key and value, all of
// them at once; unknown keys are an error unless their value is null, false, empty or a default.
AdapterConfig read_peft_config(std::string_view json, const std::string& file);

}  // namespace tenon
