#include "index/plugin_index.h"

#include <algorithm>

namespace tenon {

const IndexedPlugin* PluginIndex::find(std::string_view id) const {
  const auto found = std::ranges::find(plugins, id, &IndexedPlugin::id);
  return found == plugins.end() ? nullptr : &*found;
}

}  // namespace tenon
