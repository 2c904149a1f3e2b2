#pragma once

#include "config/run_config.h"
#include "graph/graph.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// The model of a config, as adapters are put on it: with the frozen weights that [model] quantize
// means in its format (quantized_base.h).
ModelData load_base(const RunConfig& config, const PluginRegistry& plugins);

}  // namespace tenon
