#pragma once

#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "graph/graph.h"

namespace tenon {

// A config whose target_modules names layers, and what was decided on the way there.
struct ResolvedTargets {
  AdapterConfig config;
  bool all_linear = false;  // target_modules was "all-linear": what cannot be adapted is left out
  std::vector<std::string> notes;
};

// Replaces "all-linear" by the model's fully connected layers without its output layer, and a
// missing target_modules by the method's preset for the model's type, if it has `presets`. Throws
// Error{kInjection} where there is none for the model. "layers.2.*" in a list is the layers in that
// module, of methods that adapt none of these those of the `served` types.
ResolvedTargets resolve_targets(const AdapterConfig& config, const ModelData& model,
                                const std::vector<std::string>& served = {},
                                const DefaultTargets& presets = {});

}  // namespace tenon
