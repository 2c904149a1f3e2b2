#include "install/installed_plugins.h"

#include <tenon/plugin.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/output_folder.h"
#include "plugin/plugin_stamp.h"
#include "plugin/user_folder.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

InstalledPlugin look_at(const fs::path& path) {
  InstalledPlugin plugin{.path = path};
  try {
    plugin.record = read_record(path);
  } catch (const Error& error) {
    plugin.fault = error.what();
  }
  if (plugin.record) {
    plugin.id = plugin.record->id;
    plugin.version = plugin.record->version;
  }
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) {
    plugin.fault = "its file is gone";
    return plugin;
  }
  const MappedFile file(path, Stage::kPlugins);
  plugin.sha256 = sha256_hex(file.bytes());
  tenon_stamp stamp{};
  const auto refusal = read_stamp(file.bytes(), stamp);
  if (plugin.record && plugin.record->sha256 != plugin.sha256) {
    plugin.fault = "it has been changed since it was installed";
  } else if (refusal) {
    plugin.fault = refusal->reason;
  } else if (!plugin.record) {
    plugin.id = stamp.id;
    plugin.version = stamp.version;
  }
  return plugin;
}

}  // namespace

std::vector<InstalledPlugin> installed_plugins(const fs::path& folder) {
  finish_replacement(folder);
  std::set<fs::path> paths;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const fs::path& path = entry->path();
    if (path.extension() == ".so" || path.extension() == ".json") {
      paths.insert(fs::path(path).replace_extension(".so"));
    }
  }
  std::vector<InstalledPlugin> plugins;
  plugins.reserve(paths.size());
  for (const fs::path& path : paths) plugins.push_back(look_at(path));
  return plugins;
}

fs::path require_data_folder() {
  if (const auto folder = user_data_folder()) return *folder;
  throw Error({.stage = Stage::kOutput,
               .message = "there is no place for the user's plugins",
               .hint = "set HOME, or XDG_DATA_HOME, whose tenon/plugins is searched"});
}

fs::path require_plugin_folder() { return require_data_folder() / "plugins"; }

}  // namespace tenon
