#pragma once

#include <string>
#include <vector>

#include "plugin/plugin_registry.h"

namespace tenon {

// Which plugin made a layer of a saved adapter; a line of tenon.json.
struct RecordedLayer {
  std::string name;    // module path
  std::string type;    // "torch.nn.Linear"
  std::string plugin;  // plugin id
  std::string version;
  std::string sha256;   // of the plugin's file
  OptionTable options;  // the plugin's own
};

// The layer type that made a layer, found again without a word in the config. Throws
// Error{kInjection} if the plugin is missing, is older than the recorded one, or no longer serves
// the type; a newer version or another build is told in `notes`, once for each plugin.
const LayerType& find_recorded(const RecordedLayer& recorded, const std::string& method,
                               const PluginRegistry& plugins, std::vector<std::string>& notes);

}  // namespace tenon
