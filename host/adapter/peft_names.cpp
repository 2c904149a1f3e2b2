#include "adapter/peft_names.h"

namespace tenon {
namespace {

// PeftModel holds the tuner as `base_model`, the tuner holds the user's model as `model`.
constexpr std::string_view kPrefix = "base_model.model.";

}  // namespace

std::string to_peft_key(std::string_view key) { return std::string(kPrefix).append(key); }

std::optional<std::string> from_peft_key(std::string_view name) {
  if (!name.starts_with(kPrefix) || name.size() == kPrefix.size()) return std::nullopt;
  return std::string(name.substr(kPrefix.size()));
}

}  // namespace tenon
