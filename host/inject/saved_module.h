#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "graph/graph.h"
#include "inject/adapter_instance.h"

namespace tenon {

// The pieces in which a module that is saved whole can run on other weights: its innermost modules
// as they are, and what it runs itself one operator at a time, since the operators of a container
// need not follow each other.
std::vector<CallSite> saved_sites(const ModelData& model, ModuleId module);

// The same for any tensors, read by the nodes for which `counts` holds.
std::vector<CallSite> reading_sites(const ModelData& model,
                                    const std::vector<std::int32_t>& tensors,
                                    const std::function<bool(std::int32_t)>& counts);

}  // namespace tenon
