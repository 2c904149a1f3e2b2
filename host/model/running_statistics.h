#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// The modules that hold statistics which a training forward may update (BatchNorm), in model order;
// "" for the model itself.
std::vector<std::string> modules_with_statistics(const ModelData& model);

}  // namespace tenon
