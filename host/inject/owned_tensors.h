#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/graph.h"

namespace tenon {

// The tensors that a module and its descendants own, by name or alias, in model order, with their
// names inside the module.
std::vector<std::int32_t> owned_tensors(const ModelData& model, const std::string& path,
                                        std::vector<std::string>& relative_names);

}  // namespace tenon
