#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "targets/python_regex.h"

namespace tenon {

// An expression of rank_pattern or alpha_pattern that means one path and no other.
std::string exact_pattern(std::string_view path);

// rank_pattern or alpha_pattern, compiled once. An expression fits a whole path or what follows one
// of its dots, and the first in the file that fits decides (PEFT: get_pattern_key).
template <class T>
class NamePatterns {
 public:
  NamePatterns(const std::string& key, const std::vector<std::pair<std::string, T>>& patterns) {
    for (const auto& [pattern, value] : patterns) {
      entries_.push_back({PythonRegex(key, "(.*\\.)?(" + pattern + ")"), pattern, value});
    }
  }

  std::optional<T> value(const std::string& path) const {
    const auto fits = [&](const Entry& entry) { return entry.regex.full_match(path); };
    const auto found = std::find_if(entries_.begin(), entries_.end(), fits);
    return found == entries_.end() ? std::nullopt : std::optional<T>(found->value);
  }

  // The expressions that fit none of the paths.
  std::vector<std::string> unused(const std::vector<std::string>& paths) const {
    std::vector<std::string> patterns;
    for (const Entry& entry : entries_) {
      const auto fits = [&](const std::string& path) { return entry.regex.full_match(path); };
      if (std::none_of(paths.begin(), paths.end(), fits)) patterns.push_back(entry.pattern);
    }
    return patterns;
  }

 private:
  struct Entry {
    PythonRegex regex;
    std::string pattern;
    T value;
  };
  std::vector<Entry> entries_;
};

}  // namespace tenon
