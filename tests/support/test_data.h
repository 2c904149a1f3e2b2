#pragma once

#include <filesystem>
#include <string_view>

namespace tenon::testing {

// A file of tests/data.
inline std::filesystem::path test_data(std::string_view name) {
  return std::filesystem::path(__FILE__).parent_path().parent_path() / "data" / name;
}

}  // namespace tenon::testing
