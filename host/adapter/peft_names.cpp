#include "adapter/peft_names.h"

namespace tenon {
namespace {

// PeftModel holds the tuner as `base_model`, the tuner holds the user's model as `model` and what
// layers share beside it.
constexpr std::string_view kTuner = "base_model.";
constexpr std::string_view kModel = "model.";

}  // namespace

std::string to_peft_key(std::string_view key) {
  if (key.starts_with('.')) return std::string(kTuner).append(key.substr(1));
  return std::string(kTuner).append(kModel).append(key);
}

std::optional<std::string> from_peft_key(std::string_view name) {
  if (!name.starts_with(kTuner)) return std::nullopt;
  const std::string_view in_tuner = name.substr(kTuner.size());
  if (in_tuner.starts_with(kModel)) {
    if (in_tuner.size() == kModel.size()) return std::nullopt;
    return std::string(in_tuner.substr(kModel.size()));
  }
  // Something shared has one name, without parts.
  if (in_tuner.empty() || in_tuner == "model" || in_tuner.find('.') != std::string_view::npos) {
    return std::nullopt;
  }
  return std::string(".").append(in_tuner);
}

}  // namespace tenon
