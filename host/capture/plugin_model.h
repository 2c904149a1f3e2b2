#pragma once

#include "config/run_config.h"
#include "graph/graph.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// The [model] section as a model, whatever it comes from: load_model's kinds, or a C++ module that
// a plugin offers, captured. Throws Error{kModel}, Error{kConfig} or Error{kPlugins}.
ModelData load_model(const ModelConfig& config, const PluginRegistry& plugins);

}  // namespace tenon
