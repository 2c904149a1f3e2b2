#pragma once

#include <vector>

#include "graph/graph.h"

namespace tenon {

// For each node, whether the graph's outputs (or tensors it writes back) depend on it. An adapter
// on a node that nothing depends on would train to nothing.
std::vector<bool> reachable_nodes(const Graph& graph);

}  // namespace tenon
