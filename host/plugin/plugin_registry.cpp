#include "plugin/plugin_registry.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

// The folder of the program, or of the shared library (libtenon) that this code is in.
fs::path home_folder() {
  Dl_info place{};
  std::error_code failed;
  if (::dladdr(reinterpret_cast<const void*>(&home_folder), &place) != 0) {
    const fs::path file = fs::canonical(place.dli_fname, failed);
    if (!failed && file.filename().string().starts_with("libtenon.so")) return file.parent_path();
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  return failed ? fs::path() : program.parent_path();
}

// The regular *.so files of a folder, sorted, not recursive.
std::vector<fs::path> library_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".so") {
      files.push_back(fs::absolute(entry.path()).lexically_normal());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Of what serves a type, the first that names it exactly, else the first that names its class.
template <typename T>
class BestFit {
 public:
  explicit BestFit(const std::string& type) : type_(type) {}

  void offer(const std::string& served, const T& candidate) {
    const T*& best = served == type_ ? exact_ : by_class_;
    if (best == nullptr && serves(served, type_)) best = &candidate;
  }
  const T* found() const { return exact_ != nullptr ? exact_ : by_class_; }

 private:
  const std::string& type_;
  const T* exact_ = nullptr;
  const T* by_class_ = nullptr;
};

std::string id_and_path(const LayerType& layer_type) {
  return layer_type.id() + " (" + layer_type.plugin().path.string() + ")";
}

// The key of a line of [plugins.prefer].
std::string preference_key(const std::string& method, const std::string& type) {
  return method + ":" + type;
}

std::string describe_tie(const std::string& method, const std::string& type,
                         const LayerType& winner, const LayerType& other) {
  return id_and_path(winner) + " and " + id_and_path(other) + " both serve " + method + " on " +
         type + "; settle it with\n    [plugins.prefer]\n    \"" + method + ":" + type + "\" = \"" +
         winner.id() + "\"";
}

std::string describe_shadowing(const std::string& method, const std::string& type,
                               const LayerType& winner, const LayerType& hidden) {
  return id_and_path(winner) + " serves " + method + " on " + type + " in place of " +
         id_and_path(hidden);
}

std::string describe_unused_preference(const std::string& key, const std::string& id) {
  return "[plugins.prefer] \"" + key + "\" = \"" + id +
         "\" names no layer type that was found for it";
}

}  // namespace

bool serves(const std::string& pattern, const std::string& type) {
  if (pattern == type) return true;
  if (!pattern.starts_with("*.")) return false;
  const std::string suffix = pattern.substr(1);  // ".MyScale"
  return type.ends_with(suffix) || type == suffix.substr(1);
}

std::vector<PluginPlace> PluginRegistry::search_places(const PluginsConfig& config,
                                                       const std::vector<fs::path>& command_line) {
  std::vector<PluginPlace> places;
  places.reserve(command_line.size() + config.directories.size());
  for (const fs::path& folder : command_line) places.push_back({folder, "command line", true});
  for (const fs::path& folder : config.directories) places.push_back({folder, "config", true});
  if (const auto list = environment("TENON_PLUGIN_PATH")) {
    std::istringstream folders(*list);
    for (std::string folder; std::getline(folders, folder, ':');) {
      if (!folder.empty()) places.push_back({folder, "TENON_PLUGIN_PATH", false});
    }
  }
  if (const auto data = environment("XDG_DATA_HOME")) {
    places.push_back({fs::path(*data) / "tenon" / "plugins", "user", false});
  } else if (const auto home = environment("HOME")) {
    places.push_back({fs::path(*home) / ".local/share/tenon/plugins", "user", false});
  }
  places.push_back(
      {(home_folder() / "../lib/tenon/plugins").lexically_normal(), kBuiltInOrigin, false});
  return places;
}

PluginRegistry::PluginRegistry(const PluginsConfig& config,
                               const std::vector<fs::path>& command_line, const OpenedPlugin* first)
    : places_(search_places(config, command_line)) {
  int order = 0;
  if (first != nullptr) add(first->path, "opened", order - 1, first->library);
  for (const fs::path& file : config.files) load_file(file, "config", order, true, config);
  for (const PluginPlace& place : places_) load_place(place, ++order, config);
  methods_.emplace(plugins_);
  build_dispatch(config);
}

void PluginRegistry::load_place(const PluginPlace& place, int order, const PluginsConfig& config) {
  if (!fs::is_directory(place.path)) {
    if (!place.required) return;
    throw Error({.stage = Stage::kPlugins,
                 .message = "the plugin folder " + place.path.string() + " does not exist",
                 .hint = "it was named by the " + place.origin});
  }
  bool group_writable = false;
  if (const auto refusal = check_trust(place.path, group_writable)) {
    if (place.required) {
      throw Error({.stage = Stage::kPlugins,
                   .message = "the plugin folder is refused: " + refusal->reason});
    }
    log::warning("plugin folder " + place.path.string() + " is refused: " + refusal->reason);
    refused_.push_back({place.path, refusal->rule, refusal->reason});
    return;
  }
  if (group_writable) {
    log::warning("plugin folder " + place.path.string() + " can be changed by its group");
  }
  for (const fs::path& file : library_files(place.path)) {
    load_file(file, place.origin, order, false, config);
  }
}

void PluginRegistry::load_file(const fs::path& file, const std::string& origin, int order,
                               bool required, const PluginsConfig& config) {
  const fs::path path = fs::absolute(file).lexically_normal();
  const auto is_same = [&](const auto& other) { return other.path == path; };
  if (std::any_of(plugins_.begin(), plugins_.end(), is_same) ||
      std::any_of(refused_.begin(), refused_.end(), is_same)) {
    return;  // the same file by two places
  }
  const auto refuse = [&](const PluginRefusal& refusal) {
    if (required) {
      throw Error({.stage = Stage::kPlugins,
                   .message = "the plugin " + path.string() + " is refused: " + refusal.reason,
                   .hint = "it is named in [plugins] files"});
    }
    log::warning("plugin " + path.string() + " is refused: " + refusal.reason);
    refused_.push_back({path, refusal.rule, refusal.reason});
  };

  bool group_writable = false;
  if (const auto refusal = check_trust(path, group_writable)) return refuse(*refusal);
  if (group_writable) log::warning("plugin " + path.string() + " can be changed by its group");
  auto result = load_library(path, config.sha256);
  if (const auto* refusal = std::get_if<PluginRefusal>(&result)) return refuse(*refusal);

  add(path, origin, order, std::get<LoadedLibrary>(result));
}

void PluginRegistry::add(const fs::path& path, const std::string& origin, int order,
                         const LoadedLibrary& loaded) {
  PluginInfo& info = plugins_.emplace_back();
  info.id = loaded.id;
  info.version = loaded.version;
  info.models = loaded.models;
  info.path = path;
  info.origin = origin;
  info.sha256 = loaded.sha256;
  info.place = order;
  for (std::uint32_t i = 0; i < loaded.plugin.n_layer_types; ++i) {
    info.layer_types.emplace_back(*loaded.plugin.layer_types[i], info);
  }
  for (std::uint32_t i = 0; i < loaded.plugin.n_methods; ++i) {
    info.methods.emplace_back(*loaded.plugin.methods[i], info);
  }
}

// For each (method, type): a preferred id wins, then the higher place, then the higher priority.
void PluginRegistry::build_dispatch(const PluginsConfig& config) {
  std::map<std::pair<std::string, std::string>, std::vector<const LayerType*>> candidates;
  for (const PluginInfo& plugin : plugins_) {
    for (const LayerType& layer_type : plugin.layer_types) {
      for (const std::string& type : layer_type.base_types()) {
        candidates[{layer_type.method(), type}].push_back(&layer_type);
      }
    }
  }
  std::vector<std::string> ties;
  std::set<std::string> used_preferences;
  for (auto& [key, types] : candidates) {
    const auto& [method, type] = key;
    const auto preferred = config.prefer.find(preference_key(method, type));
    const auto rank = [&](const LayerType* candidate) {
      const bool is_wanted =
          preferred != config.prefer.end() && preferred->second == candidate->id();
      return std::tuple(!is_wanted, candidate->plugin().place, -candidate->priority());
    };
    std::stable_sort(types.begin(), types.end(),
                     [&](const LayerType* a, const LayerType* b) { return rank(a) < rank(b); });
    const LayerType* winner = types.front();
    const bool is_preferred = preferred != config.prefer.end() && preferred->second == winner->id();
    if (is_preferred) used_preferences.insert(preferred->first);
    if (types.size() > 1 && rank(types[1]) == rank(winner)) {
      ties.push_back(describe_tie(method, type, *winner, *types[1]));
      continue;
    }
    dispatch_.push_back({method, type, winner, is_preferred});
    for (std::size_t i = 1; i < types.size(); ++i) {
      log::info(describe_shadowing(method, type, *winner, *types[i]));
      shadowed_.push_back({method, type, types[i]->id(), types[i]->plugin().path, winner->id(),
                           winner->plugin().path});
    }
  }
  for (const auto& [key, id] : config.prefer) {
    if (!used_preferences.contains(key)) {
      ties.push_back(describe_unused_preference(key, id));
    }
  }
  if (ties.empty()) return;
  throw Error({.stage = Stage::kPlugins, .message = join(ties, "\n")});
}

const PluginRegistry::Entry* PluginRegistry::entry(const std::string& method,
                                                   const std::string& type) const {
  BestFit<Entry> best(type);
  for (const Entry& candidate : dispatch_) {
    if (candidate.method == method) best.offer(candidate.type, candidate);
  }
  return best.found();
}

const LayerType* PluginRegistry::find(const std::string& method, const std::string& type) const {
  const Entry* found = entry(method, type);
  return found == nullptr ? nullptr : found->layer_type;
}

bool PluginRegistry::has_preference(const std::string& method, const std::string& type) const {
  const Entry* found = entry(method, type);
  return found != nullptr && found->preferred;
}

const LayerType* PluginInfo::find(const std::string& method, const std::string& type) const {
  BestFit<LayerType> best(type);
  for (const LayerType& layer_type : layer_types) {
    if (layer_type.method() != method) continue;
    for (const std::string& served : layer_type.base_types()) best.offer(served, layer_type);
  }
  return best.found();
}

std::string PluginRegistry::user_folder() const {
  for (const PluginPlace& place : places_) {
    if (place.origin == "user") return place.path.string();
  }
  return "a folder that [plugins] directories names";
}

std::vector<std::string> PluginRegistry::supported_types(const std::string& method) const {
  std::set<std::string> types;
  for (const Entry& entry : dispatch_) {
    if (entry.method == method) types.insert(entry.type);
  }
  return {types.begin(), types.end()};
}

}  // namespace tenon
