#pragma once

#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "graph/graph.h"

namespace tenon {

// The names of target_modules with each "layers.2.*" replaced by the layers in the modules that
// "layers.2" names: the fully connected ones, of methods that adapt none those of the `served`
// types. Throws Error{kInjection} where there is no such module, or no such layer in it.
std::vector<std::string> expand_blocks(const AdapterConfig& config, const ModelData& model,
                                       const std::vector<std::string>& names,
                                       const std::vector<std::string>& served);

// Whether a rule is a list with such an entry.
bool names_blocks(const ModuleRule& rule);

}  // namespace tenon
