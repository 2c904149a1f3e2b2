#pragma once

#include <filesystem>
#include <string_view>

namespace tenon::testing {

// A file of tests/data.
inline std::filesystem::path test_data(std::string_view name) {
  return std::filesystem::path(TENON_SOURCE) / "tests/data" / name;
}

}  // namespace tenon::testing
