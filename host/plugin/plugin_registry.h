#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "plugin/layer_type.h"
#include "plugin/method.h"
#include "plugin/plugin_library.h"

namespace tenon {

// PluginInfo::origin of the plugins that come with the host.
constexpr const char* kBuiltInOrigin = "built-in";

// Whether a layer type's base type means a type: "*.MyScale" a class of that name in any module.
bool serves(const std::string& pattern, const std::string& type);

// A loaded plugin, with where it came from.
struct PluginInfo {
  std::string id;
  std::string version;
  std::filesystem::path path;
  std::string origin;  // "config", "environment", "user", "built-in", ...
  std::string sha256;
  std::vector<LayerType> layer_types;
  std::vector<Method> methods;
  const void* models = nullptr;  // of a library of models: its tenon::ModelTable
  int place = 0;                 // search order: a lower number wins

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

// What was found at start-up and who serves which (method, type). Immutable once loaded; the
// plugins' code lives until exit.
class PluginRegistry {
 public:
  // The places in search order: `command_line` (--plugin-dir), the config's directories,
  // TENON_PLUGIN_PATH, the user's data folder, and <program>/../lib/tenon/plugins.
  static std::vector<PluginPlace> search_places(
      const PluginsConfig& config, const std::vector<std::filesystem::path>& command_line);

  // Loads everything. Throws Error{kPlugins} for a file or folder named in the config that fails,
  // and for ties that no line of [plugins.prefer] settles.
  // `first` has been opened already and stands before all places.
  PluginRegistry(const PluginsConfig& config,
                 const std::vector<std::filesystem::path>& command_line,
                 const OpenedPlugin* first = nullptr);
  PluginRegistry(const PluginRegistry&) = delete;
  PluginRegistry& operator=(const PluginRegistry&) = delete;

  // The layer type for a public type name; an exact type wins over "*.Name". nullptr if none.
  const LayerType* find(const std::string& method, const std::string& type) const;
  // Whether a line of [plugins.prefer] settles who serves the type.
  bool has_preference(const std::string& method, const std::string& type) const;
  const MethodTable& methods() const { return *methods_; }
  // Where a user puts a plugin, for messages.
  std::string user_folder() const;
  // The type names that a method supports, sorted.
  std::vector<std::string> supported_types(const std::string& method) const;

  const std::deque<PluginInfo>& plugins() const { return plugins_; }
  const std::vector<RefusedPlugin>& refused() const { return refused_; }
  const std::vector<ShadowedLayerType>& shadowed() const { return shadowed_; }
  const std::vector<PluginPlace>& places() const { return places_; }

 private:
  struct Entry {
    std::string method;
    std::string type;
    const LayerType* layer_type;
    bool preferred;  // by a line of [plugins.prefer]
  };
  const Entry* entry(const std::string& method, const std::string& type) const;
  void load_place(const PluginPlace& place, int order, const PluginsConfig& config);
  void load_file(const std::filesystem::path& file, const std::string& origin, int order,
                 bool required, const PluginsConfig& config);
  void add(const std::filesystem::path& path, const std::string& origin, int order,
           const LoadedLibrary& loaded);
  void build_dispatch(const PluginsConfig& config);

  std::vector<PluginPlace> places_;
  std::deque<PluginInfo> plugins_;  // a deque: LayerTypes point at their plugin
  std::vector<RefusedPlugin> refused_;
  std::vector<ShadowedLayerType> shadowed_;
  std::vector<Entry> dispatch_;
  std::optional<MethodTable> methods_;
};

}  // namespace tenon
