#pragma once

#include <toml++/toml.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/problems.h"

namespace tenon {

struct ConfigText;

// A parsed config file, changed by --set. Knows of each node where it came from.
class TomlDocument {
 public:
  TomlDocument() = default;
  // Without `has_lines` places are named by the file alone.
  TomlDocument(std::filesystem::path file, toml::table root, bool has_lines = true);

  const std::filesystem::path& file() const { return file_; }
  const toml::table& root() const { return root_; }

  Place place(const toml::source_region& source) const;
  // Of the value at a dotted path ("output.directory"); the whole file if there is none.
  Place place_of(std::string_view dotted_path) const;

  // A path written in the file is relative to the file's folder, one from --set to the working
  // directory.
  std::filesystem::path resolve(const toml::node& node, const std::string& path) const;

 private:
  bool is_overridden(const toml::source_region& source) const;

  std::filesystem::path file_;
  toml::table root_;
  bool has_lines_ = true;
};

// Throws Error{Stage::kConfig} if the file cannot be read or is not TOML; bad overrides are added
// to `problems`.
TomlDocument read_document(const std::filesystem::path& file,
                           const std::vector<std::string>& overrides, Problems& problems);
TomlDocument read_document(const ConfigText& config);

}  // namespace tenon
