#include "plan/recorded_layer.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/lists.h"
#include "index/known_plugins.h"

namespace tenon {
namespace {

// "1.10.0" is newer than "1.9.2": numbers between dots; a part that is no number counts as 0.
std::vector<unsigned long> version_numbers(const std::string& version) {
  std::vector<unsigned long> numbers;
  std::istringstream parts(version);
  for (std::string part; std::getline(parts, part, '.');) {
    numbers.push_back(std::strtoul(part.c_str(), nullptr, 10));
  }
  return numbers;
}

// Of several plugins of the recorded id, the very file that made the layer, else the first found.
const PluginInfo* find_plugin(const RecordedLayer& recorded, const PluginRegistry& plugins) {
  const PluginInfo* found = nullptr;
  for (const PluginInfo* plugin : plugins.plugins()) {
    if (plugin->id != recorded.plugin) continue;
    if (plugin->sha256 == recorded.sha256) return plugin;
    if (found == nullptr) found = plugin;
  }
  return found;
}

std::string here(const PluginInfo& plugin) {
  return "here it is " + plugin.version + " (" + plugin.path.string() + ")";
}

void compare_versions(const RecordedLayer& recorded, const PluginInfo& plugin,
                      std::vector<std::string>& notes) {
  const std::string made =
      "the adapter was made with plugin " + recorded.plugin + " " + recorded.version;
  const auto was = version_numbers(recorded.version);
  const auto is = version_numbers(plugin.version);
  if (is < was) {
    throw Error({.stage = Stage::kInjection,
                 .message = made + ", " + here(plugin) + ", which is older",
                 .hint = "update the plugin to " + recorded.version + " or newer"});
  }
  if (was < is) {
    add_once(notes, made + ", " + here(plugin) + ", which is newer; if results differ, install " +
                        recorded.version);
  } else if (plugin.sha256 != recorded.sha256 && plugin.origin != kBuiltInOrigin) {
    add_once(notes, made + ", and " + plugin.path.string() +
                        " is another build of that version (SHA-256 " +
                        plugin.sha256.substr(0, 12) + "..., then " + recorded.sha256.substr(0, 12) +
                        "...); if that was not meant, install the file it was made with, or pin "
                        "its hash in [plugins.sha256]");
  }
}

}  // namespace

const LayerType& find_recorded(const RecordedLayer& recorded, const std::string& method,
                               const PluginRegistry& plugins, std::vector<std::string>& notes) {
  const PluginInfo* plugin = find_plugin(recorded, plugins);
  if (plugin == nullptr) {
    const std::string line = line_that_installs(recorded.plugin);
    throw Error({.stage = Stage::kInjection,
                 .message = "the adapter's layers of " + recorded.type + " were made by plugin " +
                            recorded.plugin + " " + recorded.version + ", which is not here",
                 .hint = (line.empty() ? "put it into " + plugins.user_folder() : "type: " + line) +
                         " (its SHA-256 was " + recorded.sha256 + ")"});
  }
  compare_versions(recorded, *plugin, notes);
  if (!plugins.load(*plugin)) {
    throw Error({.stage = Stage::kPlugins,
                 .message = "the adapter's layers of " + recorded.type + " were made by plugin " +
                            plugin->id + ", and " + plugin->path.string() +
                            " is refused: " + plugins.refused().back().reason});
  }
  if (const LayerType* layer_type = plugin->find(method, recorded.type)) return *layer_type;
  throw Error({.stage = Stage::kInjection,
               .message = "plugin " + plugin->id + " " + plugin->version + " no longer serves " +
                          method + " on " + recorded.type + ", which the adapter was made with",
               .hint = "install version " + recorded.version + " of the plugin"});
}

}  // namespace tenon
