#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tenon {

enum class Objective { kLoss, kMetric };

// Writes a complete small project with a loss, or a metric, of this name ("acme.focal"): source,
// CMakeLists.txt, README.md, a config to try it and its data. Returns the files' names. Throws
// Error if the folder holds something or the name is none.
std::vector<std::string> write_new_objective_plugin(const std::filesystem::path& folder,
                                                    Objective objective, const std::string& name);

}  // namespace tenon
