#pragma once

#include "graph/graph.h"
#include "graph/subgraph.h"

namespace tenon {

// Whether a module is what "all-linear" means: Linear, a class of the user's that is one, or
// transformers' Conv1D (PEFT: isinstance, which only Python can tell). A class that computes its
// weight is one too; one that does more than the product is taken for one by its name.
bool is_linear_module(const ModelData& model, const SubgraphFinder& finder, ModuleId id);

}  // namespace tenon
