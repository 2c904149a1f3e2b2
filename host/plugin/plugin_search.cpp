#include "plugin/plugin_search.h"

#include <dlfcn.h>

#include <algorithm>
#include <sstream>
#include <variant>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/output_folder.h"
#include "plugin/install_record.h"
#include "plugin/plugin_stamp.h"
#include "plugin/plugin_trust.h"
#include "plugin/user_folder.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

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

// What the file's own bytes tell of it.
std::variant<PluginInfo, PluginRefusal> read_plugin(
    const fs::path& path, const std::map<std::string, std::string>& pinned) {
  try {
    const MappedFile file(path, Stage::kPlugins);
    tenon_stamp stamp{};
    if (auto refusal = read_stamp(file.bytes(), stamp)) return *refusal;
    PluginInfo plugin;
    plugin.id = stamp.id;
    plugin.version = stamp.version;
    plugin.path = path;
    plugin.sha256 = sha256_hex(file.bytes());
    plugin.has_models = stamp.kind == TENON_STAMP_MODELS;
    plugin.has_objectives = (stamp.kind & (TENON_STAMP_LOSSES | TENON_STAMP_METRICS)) != 0;
    const auto wanted = pinned.find(plugin.id);
    if (wanted != pinned.end() && wanted->second != plugin.sha256) {
      return PluginRefusal{"sha256", "its SHA-256 is " + plugin.sha256 +
                                         ", [plugins.sha256] wants " + wanted->second};
    }
    if (plugin.has_models) return plugin;
    auto offer = read_offer(file.bytes());
    if (auto* refusal = std::get_if<PluginRefusal>(&offer)) return *refusal;
    plugin.offer = std::get<PluginOffer>(std::move(offer));
    return plugin;
  } catch (const Error& error) {
    return PluginRefusal{"unreadable", error.failure().message};
  }
}

// A file that was installed is as it was then.
std::variant<PluginInfo, PluginRefusal> compare_with_record(
    std::variant<PluginInfo, PluginRefusal> read) {
  const auto* plugin = std::get_if<PluginInfo>(&read);
  if (plugin == nullptr) return read;
  try {
    const auto record = read_record(plugin->path);
    if (!record || record->sha256 == plugin->sha256) return read;
    return PluginRefusal{"changed",
                         "its SHA-256 is " + plugin->sha256 + ", and it was installed as " +
                             record->sha256 + ": it has been changed since; type: tenon plugin " +
                             "install FILE --force, or tenon plugin remove " + record->id};
  } catch (const Error& error) {
    return PluginRefusal{"unreadable", error.what()};
  }
}

// An installation that goes on meanwhile changes a file and its record.
std::variant<PluginInfo, PluginRefusal> read_installed(
    const fs::path& path, const std::map<std::string, std::string>& pinned) {
  constexpr int kTries = 3;
  auto read = compare_with_record(read_plugin(path, pinned));
  for (int i = 1; i < kTries && std::holds_alternative<PluginRefusal>(read); ++i) {
    finish_replacement(path.parent_path());
    read = compare_with_record(read_plugin(path, pinned));
  }
  return read;
}

}  // namespace

std::vector<PluginPlace> PluginRegistry::search_places(const PluginsConfig& config,
                                                       const std::vector<fs::path>& command_line) {
  std::vector<PluginPlace> places;
  places.reserve(command_line.size() + config.directories.size());
  for (const fs::path& folder : command_line) places.push_back({folder, "command line", true});
  for (const fs::path& folder : config.directories) places.push_back({folder, "config", true});
  if (const auto list = environment_value("TENON_PLUGIN_PATH")) {
    std::istringstream folders(*list);
    for (std::string folder; std::getline(folders, folder, ':');) {
      if (!folder.empty()) places.push_back({folder, "TENON_PLUGIN_PATH", false});
    }
  }
  if (const auto folder = user_plugin_folder()) places.push_back({*folder, kUserOrigin, false});
  places.push_back(
      {(home_folder() / "../lib/tenon/plugins").lexically_normal(), kBuiltInOrigin, false});
  return places;
}

void add_place(FoundPlugins& found, const PluginPlace& place, int number,
               const std::map<std::string, std::string>& pinned) {
  if (!fs::is_directory(place.path)) {
    if (!place.required) return;
    throw Error({.stage = Stage::kPlugins,
                 .message = "the plugin folder " + place.path.string() + " does not exist",
                 .hint = "it was named by the " + place.origin});
  }
  bool group_writable = false;
  const auto refusal = place.origin == kBuiltInOrigin ? check_own_trust(place.path, group_writable)
                                                      : check_trust(place.path, group_writable);
  if (refusal) {
    if (place.required) {
      throw Error({.stage = Stage::kPlugins,
                   .message = "the plugin folder is refused: " + refusal->reason});
    }
    log::warning("plugin folder " + place.path.string() + " is refused: " + refusal->reason);
    found.refused.push_back({place.path, refusal->rule, refusal->reason});
    return;
  }
  if (group_writable) {
    log::warning("plugin folder " + place.path.string() + " can be changed by its group");
  }
  for (const fs::path& file : library_files(place.path)) {
    add_file(found, file, place.origin, number, false, pinned);
  }
}

void add_file(FoundPlugins& found, const fs::path& file, const std::string& origin, int place,
              bool required, const std::map<std::string, std::string>& pinned) {
  const fs::path path = fs::absolute(file).lexically_normal();
  const auto is_same = [&](const auto& other) { return other.path == path; };
  if (std::any_of(found.plugins.begin(), found.plugins.end(), is_same) ||
      std::any_of(found.refused.begin(), found.refused.end(), is_same)) {
    return;  // the same file by two places
  }
  const auto refuse = [&](const PluginRefusal& refusal) {
    if (required) {
      throw Error({.stage = Stage::kPlugins,
                   .message = "the plugin " + path.string() + " is refused: " + refusal.reason,
                   .hint = "it is named in [plugins] files"});
    }
    log::warning("plugin " + path.string() + " is refused: " + refusal.reason);
    found.refused.push_back({path, refusal.rule, refusal.reason});
  };
  bool group_writable = false;
  const auto refusal = origin == kBuiltInOrigin ? check_own_trust(path, group_writable)
                                                : check_trust(path, group_writable);
  if (refusal) return refuse(*refusal);
  if (group_writable) log::warning("plugin " + path.string() + " can be changed by its group");
  auto read = origin == kUserOrigin ? read_installed(path, pinned) : read_plugin(path, pinned);
  if (const auto* wrong = std::get_if<PluginRefusal>(&read)) return refuse(*wrong);
  PluginInfo& plugin = found.plugins.emplace_back(std::get<PluginInfo>(std::move(read)));
  plugin.origin = origin;
  plugin.place = place;
}

}  // namespace tenon
