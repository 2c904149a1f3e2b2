#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tenon::fuzz {

// One parser.
struct Target {
  std::string_view name;
  // Feeds it the bytes. False if it refused them, by tenon's own error; anything else that it
  // throws is a fault and passes through.
  bool (*accepts)(const std::string& bytes);
  bool is_json = false;  // whole JSON tokens are exchanged too
};

// Those of this executable.
std::span<const Target> targets();

}  // namespace tenon::fuzz
