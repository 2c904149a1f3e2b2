#include "plugin/user_folder.h"

#include <cstdlib>

namespace tenon {

std::optional<std::string> environment_value(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::optional<std::filesystem::path> user_data_folder() {
  if (const auto data = environment_value("XDG_DATA_HOME")) {
    return std::filesystem::path(*data) / "tenon";
  }
  if (const auto home = environment_value("HOME")) {
    return std::filesystem::path(*home) / ".local/share/tenon";
  }
  return std::nullopt;
}

std::optional<std::filesystem::path> user_plugin_folder() {
  const auto data = user_data_folder();
  return data ? std::optional(*data / "plugins") : std::nullopt;
}

}  // namespace tenon
