#include "targets/default_targets.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tenon {
namespace {

// Where a file of transformers serves several types, the class tells which.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kTypesOfClasses{{
    {"Gemma3ForCausalLM", "gemma3_text"},
    {"Gemma3TextModel", "gemma3_text"},
    {"Gemma3TextForSequenceClassification", "gemma3_text"},
    {"Llama4ForCausalLM", "llama4_text"},
    {"Llama4TextModel", "llama4_text"},
    {"Gemma4ForCausalLM", "gemma4_text"},
}};

}  // namespace

std::string model_type_of(std::string_view root_class, const DefaultTargets& presets) {
  constexpr std::string_view kFile = ".modeling_";
  const std::size_t start = root_class.rfind(kFile);
  const std::size_t end = root_class.rfind('.');
  if (start == std::string_view::npos || end <= start) return "";
  const std::string_view name = root_class.substr(end + 1);
  for (const auto& [known, type] : kTypesOfClasses) {
    if (known == name) return std::string(type);
  }
  std::string type(root_class.substr(start + kFile.size(), end - start - kFile.size()));
  // Files have an underscore where some types have a dash: xlm_roberta, deberta_v2, blip_2.
  std::string dashed = type;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return default_targets(dashed, presets) ? dashed : type;
}

std::optional<ModuleRule> default_targets(std::string_view model_type,
                                          const DefaultTargets& presets) {
  const auto found = std::find_if(presets.begin(), presets.end(),
                                  [&](const auto& preset) { return preset.first == model_type; });
  return found == presets.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace tenon
