#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tenon {

struct NewPlugin {
  std::filesystem::path folder;
  std::string type;  // "acme.Fancy"
  std::string method = "lora";
  bool is_new_method = false;  // no plugin has it yet
};

// Writes a complete small project: source, CMakeLists.txt, README.md, a config to try it, and what
// the config needs where no Python is needed for that. Returns the files' names. Throws Error if
// the folder holds something, or the type is no type name; nothing is overwritten.
std::vector<std::string> write_new_plugin(const NewPlugin& wanted);

}  // namespace tenon
