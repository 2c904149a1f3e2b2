#pragma once

#include <memory>
#include <string>
#include <vector>

#include "adapted/adapted_layer.h"
#include "graph/graph.h"
#include "graph/subgraph.h"
#include "interpreter/interpreter.h"

namespace tenon {

// What runs in place of some nodes, and the layers whose tensors it uses.
struct LayerReplacement {
  Replacement replacement;
  std::vector<std::shared_ptr<const AdaptedLayer>> layers;
};

// All that one call of a module runs, layers included, as a program of its own.
struct FoldedModule {
  std::shared_ptr<const Program> program;
  LayerReplacement place;  // in the model, without its function
};

// Takes the replacements that lie inside the call out of `replacements`. Throws Error{kInjection}
// where one lies inside only in part, so that the config's `key` cannot name the module.
FoldedModule fold_module(const ModelData& model, const Subgraph& subgraph,
                         std::vector<LayerReplacement>& replacements, const std::string& key);

}  // namespace tenon
