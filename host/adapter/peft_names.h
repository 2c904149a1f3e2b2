#pragma once

#include <optional>
#include <string>
#include <string_view>

// PEFT's tensor names, pure text: "base_model.model." before the model's own key; "base_model."
// before the name of what layers share, whose key here starts with a dot (".vera_A"). The adapter's
// name is not in the file.
namespace tenon {

std::string to_peft_key(std::string_view key);
// nullopt if the name does not start with PEFT's prefix.
std::optional<std::string> from_peft_key(std::string_view name);

}  // namespace tenon
