#pragma once

#include <map>
#include <string>
#include <vector>

#include "plugin/plugin_registry.h"

namespace tenon {

// Who made a layer of a saved adapter, as tenon.json tells it.
struct RecordedLayer {
  std::string type;  // "torch.nn.Linear"
  std::string plugin;
  std::string version;
  std::string sha256;
  OptionTable options;  // the plugin's own
};
using RecordedLayers = std::map<std::string, RecordedLayer>;  // by module path

// The layer type that made a layer, found again without a word in the config. Throws
// Error{kInjection} if the plugin is missing, is older than the recorded one, or no longer serves
// the type; a newer version or another build is told in `notes`, once for each plugin.
const LayerType& find_recorded(const RecordedLayer& recorded, const std::string& method,
                               const PluginRegistry& plugins, std::vector<std::string>& notes);

}  // namespace tenon
