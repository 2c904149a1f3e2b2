#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "config/adapter_config.h"

namespace tenon::testing {

// A table of patterns, as of `rank_pattern`.
inline OptionValue patterns(std::initializer_list<std::pair<std::string, std::int64_t>> values) {
  OptionEntries entries;
  for (const auto& [pattern, value] : values) entries.items.push_back({pattern, value});
  return entries;
}

// A nested table, as of `eva_config`.
inline OptionValue table(std::initializer_list<std::pair<std::string, OptionValue>> fields) {
  OptionEntries entries;
  for (const auto& [key, value] : fields) entries.items.push_back({key, value});
  return entries;
}

}  // namespace tenon::testing
