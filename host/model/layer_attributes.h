#pragma once

#include "config/adapter_config.h"
#include "graph/graph.h"
#include "graph/subgraph.h"

namespace tenon {

// What tenon_host.attribute answers for a layer: the constant arguments of the operator that uses
// its weights, those left out with the schema's defaults, each as the schema's type.
OptionTable layer_attributes(const ModelData& model, const Subgraph& subgraph);

}  // namespace tenon
