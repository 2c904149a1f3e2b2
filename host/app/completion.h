#pragma once

#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace tenon {

// The shells that completion_script knows.
const std::vector<std::string>& completed_shells();

// The script that completes the program's verbs and options in bash, zsh or fish, taken from the
// parser itself.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace tenon
