#include <algorithm>
#include <string>
#include <string_view>

#include "graph/graph.h"

namespace tenon {

ModuleId ModuleTree::find(std::string_view path) const {
  // The root is first, and is what most owners of plain parameters ask for.
  if (!modules.empty() && modules.front().path == path) return 0;
  const auto found = std::find_if(modules.begin(), modules.end(),
                                  [&](const Module& module) { return module.path == path; });
  return found == modules.end() ? kNoModule : static_cast<ModuleId>(found - modules.begin());
}

std::optional<std::string> ModelTensor::name_in(std::string_view path) const {
  const std::string prefix = std::string(path) + ".";
  if (name.starts_with(prefix)) return name.substr(prefix.size());
  for (const std::string& alias : aliases) {
    if (alias.starts_with(prefix)) return alias.substr(prefix.size());
  }
  return std::nullopt;
}

std::string public_type_name(std::string_view type) {
  constexpr std::string_view kDefinedIn = "torch.nn.modules.";
  // Defined beside the public classes but not exported by torch.nn.
  constexpr std::string_view kNotExported = "NonDynamicallyQuantizableLinear";
  if (!type.starts_with(kDefinedIn)) return std::string(type);
  const std::string_view rest = type.substr(kDefinedIn.size());
  const std::size_t dot = rest.find('.');
  if (dot == std::string_view::npos) return std::string(type);
  const std::string_view name = rest.substr(dot + 1);
  const bool exported = !name.empty() && name.front() != '_' && name != kNotExported &&
                        name.find('.') == std::string_view::npos;
  return exported ? "torch.nn." + std::string(name) : std::string(type);
}

}  // namespace tenon
