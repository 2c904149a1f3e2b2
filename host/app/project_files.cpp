#include "app/project_files.h"

#include "base/error.h"
#include "base/file.h"
#include "base/output_folder.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

void require_empty(const fs::path& folder) {
  std::error_code failed;
  if (!fs::exists(fs::symlink_status(folder, failed))) return;
  if (fs::is_directory(folder, failed) && is_unused_folder(folder, failed)) return;
  throw Error({.stage = Stage::kOutput,
               .message = folder.string() + " is there already and is not an empty folder",
               .hint = "name a new one; nothing is overwritten"});
}

}  // namespace

std::string fill_in(std::string text, const ProjectNames& names) {
  for (const auto& [name, value] : names) {
    const std::string place = "@" + name + "@";
    for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place, at)) {
      text.replace(at, place.size(), value);
      at += value.size();
    }
  }
  return text;
}

void write_project(const fs::path& folder, const ProjectFiles& files, const ProjectNames& names) {
  require_empty(folder);
  OutputFolder output(folder, "the project");
  require_empty(folder);  // another process may have been at it until now
  std::vector<FolderFile> parts;
  for (const auto& [file, text] : files) {
    parts.push_back({file, [filled = fill_in(text, names)](const fs::path& path) {
                       write_file(path, filled);
                     }});
  }
  output.write(parts);
}

}  // namespace tenon
