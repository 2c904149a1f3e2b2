#pragma once

#include <map>
#include <string>
#include <string_view>

namespace tenon {

// configs/README.md as it was when the program was built.
std::string_view configs_readme();

// What the tables of such a text say of each key, by its full name ("train.batch_size"): rows
// "| `batch_size` | integer | `32` | meaning |" below a heading "## [train]".
std::map<std::string, std::string> key_help(std::string_view readme);

}  // namespace tenon
