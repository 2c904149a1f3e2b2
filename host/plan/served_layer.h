#pragma once

#include <string>
#include <vector>

#include "graph/subgraph.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// What a module of any class is adapted as.
struct ServedLayer {
  std::string type;        // that plugins are looked up by
  bool does_more = false;  // more than the operator of that type, which is added to its output
  std::string how = {};    // why it is taken for one, where its class is another
};

// The module's own type where a plugin of the method serves it, else a type of PyTorch's if its
// calls show one.
ServedLayer served_layer(const ModelData& model, const Module& module,
                         const std::vector<Subgraph>& calls, const std::string& method,
                         const PluginRegistry& plugins);

}  // namespace tenon
