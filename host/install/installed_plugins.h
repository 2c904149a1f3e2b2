#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "plugin/install_record.h"

namespace tenon {

// A plugin in the user's folder, or the record of one whose file is gone.
struct InstalledPlugin {
  std::filesystem::path path;
  std::string id = {};  // of the record, else of its file's stamp; "" of a file that is no plugin
  std::string version = {};
  std::string sha256 = {};                   // of the file; "" where it is gone
  std::optional<InstallRecord> record = {};  // nullopt: it was put there by hand
  std::string fault = {};  // what is wrong with it: a file that is gone, or that has been changed
};

// Sorted by path; empty where there is no folder.
std::vector<InstalledPlugin> installed_plugins(const std::filesystem::path& folder);

// The user's folder. Throws Error{kOutput} where the environment names no place for it.
std::filesystem::path require_plugin_folder();
std::filesystem::path require_data_folder();

}  // namespace tenon
