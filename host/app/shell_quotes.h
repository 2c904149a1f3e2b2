#pragma once

#include <string>

namespace tenon {

// In single quotes: one word for bash, zsh, fish and sh, whatever it holds.
std::string in_shell_quotes(const std::string& text);

}  // namespace tenon
