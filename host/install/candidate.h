#pragma once

#include <filesystem>
#include <string>

#include "plugin/plugin_offer.h"

namespace tenon {

// The bytes of a plugin that no rule of the file speaks against. None of its code has run, and none
// runs before something of it is used.
struct Candidate {
  std::string place;  // where the bytes came from, for messages and the record
  std::string bytes;
  std::string id;
  std::string version;
  std::string sha256;
  std::string libtorch;          // its stamp's torch_version
  std::string libtorch_minimum;  // and torch_minimum
  std::string abi_minimum;       // "1.0"
  PluginOffer offer;             // of a library of models: nothing
};

// Throws Error{kPlugins} with the rules of `tenon plugin check` that it breaks.
Candidate check_candidate(std::string bytes, const std::string& place);

// A file; one that others could have changed is refused as well.
Candidate read_candidate(const std::filesystem::path& file);

// The plugins of a folder, sorted by name; throws with all problems at once, and where it has none.
std::vector<std::filesystem::path> plugin_files_in(const std::filesystem::path& folder);

constexpr std::size_t kMostPluginBytes = std::size_t{1} << 30U;

}  // namespace tenon
