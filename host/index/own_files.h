#pragma once

#include <filesystem>
#include <string>

#include "base/output_folder.h"

namespace tenon {

// Whatever the mask: takes from others the right to write, who could change every plugin by it.
// Throws std::filesystem::filesystem_error.
void keep_others_out(const std::filesystem::path& path);

// A file that is refused where others may write to it (plugin/plugin_trust.h).
FolderFile own_file(const std::string& name, std::string content);

}  // namespace tenon
