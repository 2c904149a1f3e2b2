#pragma once

#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "graph/graph.h"

namespace tenon {

// Modules by their full paths, as target_modules: a list means what ends with one of its names too,
// so where that would take in another module, an expression.
ModuleRule exact_targets(const ModuleTree& tree, const std::vector<std::string>& paths);

// An expression that these paths match and no others.
Regex exact_expression(const std::vector<std::string>& paths);

}  // namespace tenon
