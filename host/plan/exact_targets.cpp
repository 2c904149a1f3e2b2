#include "plan/exact_targets.h"

#include <algorithm>
#include <set>

#include "base/suggest.h"
#include "targets/name_patterns.h"

namespace tenon {

Regex exact_expression(const std::vector<std::string>& paths) {
  std::vector<std::string> expressions;
  for (const std::string& path : paths) expressions.push_back(exact_pattern(path));
  return Regex{join(expressions, "|")};
}

ModuleRule exact_targets(const ModuleTree& tree, const std::vector<std::string>& paths) {
  const std::set<std::string> wanted(paths.begin(), paths.end());
  const bool is_ambiguous = std::ranges::any_of(tree.modules, [&](const Module& module) {
    return !wanted.contains(module.path) &&
           std::ranges::any_of(
               paths, [&](const std::string& path) { return module.path.ends_with("." + path); });
  });
  if (is_ambiguous) return exact_expression(paths);
  return paths;
}

}  // namespace tenon
