#pragma once

#include <ATen/core/ivalue.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "adapted/adapted_layer.h"
#include "graph/graph.h"
#include "graph/subgraph.h"
#include "interpreter/interpreter.h"

namespace tenon {

// One place in the graph where a layer runs.
struct LayerCall {
  std::shared_ptr<const AdaptedLayer> layer;
  const Subgraph* subgraph = nullptr;
  std::shared_ptr<const SubgraphProgram> program;
};

// Sorts calls into groups that can run as one piece: layers of one parent module that read the same
// tensor, and nothing else, in one operator each (query, key and value of an attention), as long as
// nothing between them writes in place. Most groups hold one call; all keep their order.
std::vector<std::vector<LayerCall>> group_siblings(const ModelData& model,
                                                   const std::vector<LayerCall>& calls);

// What stands in the graph for a group.
Replacement replace_siblings(std::vector<LayerCall> group);

}  // namespace tenon
