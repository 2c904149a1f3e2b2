#pragma once

#include "config/run_config.h"
#include "graph/graph.h"

namespace tenon {

// Builds [[model.layers]] into a graph: the layers run one after the other, each on the result of
// the one before, parameters started as PyTorch starts them, drawn from [model] seed. Dotted names
// make Sequentials: "seq.0" runs in `seq`. Throws Error{kConfig}; all layers' problems are listed
// at once.
ModelData build_declared_model(const ModelConfig& config);

}  // namespace tenon
