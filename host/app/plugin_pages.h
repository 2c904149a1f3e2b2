#pragma once

#include <string>

#include "plugin/plugin_registry.h"

namespace tenon {

// A page in Markdown of each plugin that is loaded, from what it says of itself: its methods with
// their keys, layer types with their options, losses and metrics. Sorted by id.
std::string plugin_pages(const PluginRegistry& plugins);

}  // namespace tenon
