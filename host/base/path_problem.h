#pragma once

#include <filesystem>

#include "base/error.h"

namespace tenon {

// What the standard library could not do with a path (too long a name, a folder that must not be
// looked into), with the path as the place: "the path cannot be used: File name too long".
Error path_problem(const std::filesystem::filesystem_error& error, Stage stage);

}  // namespace tenon
