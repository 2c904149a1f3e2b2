#pragma once

#include <string>
#include <string_view>

#include "config/adapter_config.h"

namespace tenon {

// The model that an adapter was made for, as PEFT's `auto_mapping` names it; both "" if it does
// not.
struct BaseModelClass {
  std::string name;            // "MistralForCausalLM"
  std::string parent_library;  // "transformers.models.mistral.modeling_mistral"
};

// adapter_config.json exactly as PEFT 0.21.2 writes it: all keys of the method's config, sorted,
// indent 2, inference_mode true, auto_mapping from the root's class. Tables of patterns keep their
// order, which decides which of their expressions wins.
std::string write_peft_config(const AdapterConfig& config, const std::string& base_model_class,
                              const std::string& parent_library);

// Reads what any PEFT from 0.10 on writes. `file` is for messages. Of the method's own keys only
// the types are known yet: see with_method.
AdapterConfig read_peft_config(std::string_view json, const std::string& file);

// The same file's `auto_mapping`.
BaseModelClass read_base_model_class(std::string_view json, const std::string& file);

}  // namespace tenon
