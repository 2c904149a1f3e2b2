#include "config/lora_init.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace tenon {

std::optional<std::string> known_lora_init(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kFast = "pissa_niter_";
  if (lower.starts_with(kFast)) {
    const std::string_view number = std::string_view(lower).substr(kFast.size());
    const bool is_number = !number.empty() && number.size() < 5 &&
                           number.find_first_not_of("0123456789") == std::string_view::npos;
    return is_number ? std::optional(lower) : std::nullopt;
  }
  const auto& names = lora_init_names();
  const bool known = std::find(names.begin(), names.end(), lower) != names.end();
  return known ? std::optional(lower) : std::nullopt;
}

const std::vector<std::string>& lora_init_names() {
  static const std::vector<std::string> names{
      "gaussian", "orthogonal", "pissa", "pissa_niter_[number]", "olora", "eva", "corda"};
  return names;
}

std::optional<ForeignInit> foreign_lora_init(std::string_view init) {
  static constexpr std::array<ForeignInit, 3> kForeign{{
      {"loftq", "LoftQ", "it needs a quantised base"},
      {"lora_ga", "LoRA-GA", "it needs gradients of the loss on batches of data"},
      {"mica", "MiCA", "its lora_B stays frozen"},
  }};
  const auto found = std::find_if(kForeign.begin(), kForeign.end(),
                                  [&](const ForeignInit& each) { return each.key == init; });
  return found == kForeign.end() ? std::nullopt : std::optional(*found);
}

bool changes_base(std::string_view init) { return init.starts_with("pissa") || init == "olora"; }

bool starts_from_data(std::string_view init) { return init == "eva" || init == "corda"; }

}  // namespace tenon
