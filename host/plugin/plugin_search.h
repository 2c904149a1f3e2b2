#pragma once

#include <functional>
#include <list>
#include <map>
#include <vector>

#include "plugin/plugin_registry.h"

namespace tenon {

// What lies in the places, read from the files without running any of them. A file that two places
// have is taken once. Throws Error{kPlugins} for what the config or the command line names and is
// refused.
struct FoundPlugins {
  std::list<PluginInfo> plugins;  // in the order of their places
  std::vector<RefusedPlugin> refused;
};

// Adds the file at `place`; what is refused goes to `found.refused`, or is thrown if `required`.
void add_file(FoundPlugins& found, const std::filesystem::path& file, const std::string& origin,
              int place, bool required, const std::map<std::string, std::string>& pinned);
void add_place(FoundPlugins& found, const PluginPlace& place, int number,
               const std::map<std::string, std::string>& pinned);

}  // namespace tenon
