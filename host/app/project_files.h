#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace tenon {

// Names and texts of the files of a new project; the texts have @NAMES@ to be filled in.
using ProjectFiles = std::vector<std::pair<std::string, std::string>>;

using ProjectNames = std::map<std::string, std::string>;

// The text with a value in place of each @NAME@.
std::string fill_in(std::string text, const ProjectNames& names);

// Writes the files with the names filled in. Throws Error{kOutput} if the folder holds something.
void write_project(const std::filesystem::path& folder, const ProjectFiles& files,
                   const ProjectNames& names);

}  // namespace tenon
