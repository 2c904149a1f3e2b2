#pragma once

#include <tenon/plugin.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>

#include "plugin/host_table.h"
#include "plugin/plugin_stamp.h"

namespace tenon {

// A plugin that was opened, checked and initialised; its code stays loaded until exit.
struct LoadedLibrary {
  std::string id;
  std::string version;
  tenon_plugin plugin{};  // as this host knows it, whatever SDK it was built with
  std::string sha256;
  const void* models = nullptr;  // of a library of models: its tenon::ModelTable
};

// Opens one file, which check_trust found good: stamp, segments, dlopen, entry table, init. What is
// hashed and checked is what is opened, even where a pinned file is changed meanwhile. Whatever
// fails refuses the whole file. `pinned_sha256` has the hash wanted for a plugin id; `host` is what
// the plugin is handed.
std::variant<LoadedLibrary, PluginRefusal> load_library(
    const std::filesystem::path& path, const std::map<std::string, std::string>& pinned_sha256,
    const tenon_host& host = host_table());

}  // namespace tenon
