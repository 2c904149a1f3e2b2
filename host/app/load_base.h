#pragma once

#include "config/run_config.h"
#include "graph/graph.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// The model of a config, as adapters are put on it: with the frozen weights that [model] quantize
// means in its format (quantized_base.h), on the device of [model] device.
ModelData load_base(const RunConfig& config, const PluginRegistry& plugins);

// The same on the CPU, to look at; whether there is the device is not asked.
ModelData load_base_to_look(const RunConfig& config, const PluginRegistry& plugins);

}  // namespace tenon
