#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "index/plugin_index.h"

namespace tenon {

// Of `tenon plugin index`.
struct IndexOutcome {
  std::filesystem::path path;  // DIRECTORY/index.json
  std::string key = {};        // that whoever uses the index pins
  PluginIndex index = {};
  bool new_key = false;                // the key's file was made
  std::vector<std::string> kept = {};  // files that only a former index knows, for another machine
};

// Reads each plugin (*.so) of a folder by the rules of its file and writes the signed index of them
// beside them, with what `about.json` there says of them. A file for another machine or host keeps
// the entry that a former index of the same key has of it. `key` is a file with an Ed25519 key in
// PEM (PKCS #8), made where it is missing. Another key than the former index's needs `force`.
// Throws Error{kPlugins} with all problems at once, Error{kOutput}.
IndexOutcome make_index(const std::filesystem::path& folder, const std::filesystem::path& key,
                        bool force);

}  // namespace tenon
