#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace tenon {

// An environment variable; nullopt where it is not set, or empty.
std::optional<std::string> environment_value(const char* name);

// Where Tenon keeps what is the user's: ${XDG_DATA_HOME:-~/.local/share}/tenon; nullopt where the
// environment names neither.
std::optional<std::filesystem::path> user_data_folder();

// The user's plugins in it.
std::optional<std::filesystem::path> user_plugin_folder();

}  // namespace tenon
