#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "plugin/layer_type.h"
#include "plugin/method.h"
#include "plugin/plugin_library.h"
#include "plugin/plugin_loss.h"
#include "plugin/plugin_metric.h"
#include "plugin/plugin_offer.h"

namespace tenon {

// PluginInfo::origin of the plugins that come with the host.
constexpr const char* kBuiltInOrigin = "built-in";
// Of those in the user's folder.
constexpr const char* kUserOrigin = "user";

// Whether a layer type's base type means a type: "*.MyScale" a class of that name in any module.
bool serves(const std::string& pattern, const std::string& type);

// A plugin that was found, with where it came from. Until it is loaded nothing of it has run: what
// it offers was read from its file.
struct PluginInfo {
  std::string id;
  std::string version;
  std::filesystem::path path;
  std::string origin;  // "config", "environment", "user", "built-in", ...
  std::string sha256;
  int place = 0;  // search order: a lower number wins
  PluginOffer offer;
  bool has_models = false;      // it is a library of models
  bool has_objectives = false;  // it offers losses or metrics, whose names its code tells
  // Once it is loaded:
  bool is_loaded = false;
  bool is_refused = false;  // loading it failed
  std::vector<LayerType> layer_types;
  std::vector<Method> methods;
  std::vector<PluginLoss> losses;
  std::vector<PluginMetric> metrics;
  const void* models = nullptr;  // of a library of models: its tenon::ModelTable

  // Its layer type for a public type name, an exact type before "*.Name"; nullptr if none.
  const LayerType* find(const std::string& method, const std::string& type) const;
};

struct RefusedPlugin {
  std::filesystem::path path;
  std::string rule;
  std::string reason;
};

// A layer type that another one hides.
struct ShadowedLayerType {
  std::string method;
  std::string type;
  std::string id;
  std::filesystem::path path;
  std::string winner;
  std::filesystem::path winner_path;
};

// A folder that is searched, highest place first.
struct PluginPlace {
  std::filesystem::path path;
  std::string origin;
  bool required = false;  // named in the config or on the command line: must exist
};

// A plugin that the caller has opened.
struct OpenedPlugin {
  std::filesystem::path path;
  LoadedLibrary library;
};

struct RegistryState;

// What was found at start-up and who serves which (method, type). A plugin is loaded when something
// of it is asked for, and its code then lives until exit.
class PluginRegistry {
 public:
  // The places in search order: `command_line` (--plugin-dir), the config's directories,
  // TENON_PLUGIN_PATH, the user's data folder, and <program>/../lib/tenon/plugins.
  static std::vector<PluginPlace> search_places(
      const PluginsConfig& config, const std::vector<std::filesystem::path>& command_line);

  // Finds everything, and loads the files that the config names. Throws Error{kPlugins} for a file
  // or folder named in the config that fails. `first` has been opened already and stands before all
  // places.
  PluginRegistry(const PluginsConfig& config,
                 const std::vector<std::filesystem::path>& command_line,
                 const OpenedPlugin* first = nullptr);
  ~PluginRegistry();
  PluginRegistry(const PluginRegistry&) = delete;
  PluginRegistry& operator=(const PluginRegistry&) = delete;

  // The layer type for a public type name, its plugin loaded; an exact type wins over "*.Name".
  // nullptr if none. Throws Error{kPlugins} for a tie that no line of [plugins.prefer] settles.
  const LayerType* find(const std::string& method, const std::string& type) const;
  // Whether a line of [plugins.prefer] settles who serves the type.
  bool has_preference(const std::string& method, const std::string& type) const;
  const MethodTable& methods() const;
  // Load every plugin that offers some. nullptr if there is none. Throw Error{kPlugins} if two
  // plugins of one place offer it.
  const PluginLoss* find_loss(const std::string& name) const;
  const PluginMetric* find_metric(const std::string& name) const;
  // Those that find_loss and find_metric would give.
  std::vector<const PluginLoss*> losses() const;
  std::vector<const PluginMetric*> metrics() const;
  // Where a user puts a plugin, for messages.
  std::string user_folder() const;
  // The type names that a method supports, sorted.
  std::vector<std::string> supported_types(const std::string& method) const;

  // In the order of their places; those whose loading failed are left out.
  std::vector<const PluginInfo*> plugins() const;
  // Loads it if it is not yet; false if it is refused.
  bool load(const PluginInfo& plugin) const;
  const std::vector<RefusedPlugin>& refused() const;
  const std::vector<ShadowedLayerType>& shadowed() const;
  // Of layer types and methods that two plugins of one place offer; an error once they are used.
  std::vector<std::string> ties() const;
  const std::vector<PluginPlace>& places() const;

 private:
  std::unique_ptr<RegistryState> state_;  // loading changes it
};

}  // namespace tenon
