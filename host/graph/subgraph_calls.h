#pragma once

#include <vector>

#include "graph/subgraph.h"

namespace tenon {

// Gives the calls of one module the same inputs and outputs, place by place: one call may pass a
// tensor twice where another passes two (the zeros that a cell's state starts from), and use a
// result that another leaves. Calls that run other operators are left as they are.
void give_same_borders(const Graph& graph, std::vector<Subgraph>& calls);

}  // namespace tenon
