#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tenon {

// Writes a complete small project that offers a C++ model under this name ("acme.mlp"): source,
// CMakeLists.txt, README.md, a config and data to try it with. Returns the files' names. Throws
// Error if the folder holds something, or the name is none for a model; nothing is overwritten.
std::vector<std::string> write_new_model_plugin(const std::filesystem::path& folder,
                                                const std::string& model);

}  // namespace tenon
