#include "index/own_files.h"

#include <utility>

#include "base/file.h"

namespace tenon {
namespace fs = std::filesystem;

void keep_others_out(const fs::path& path) {
  fs::permissions(path, fs::perms::group_write | fs::perms::others_write, fs::perm_options::remove);
}

FolderFile own_file(const std::string& name, std::string content) {
  return {name, [content = std::move(content)](const fs::path& path) {
            write_file(path, content);
            keep_others_out(path);
          }};
}

}  // namespace tenon
