// Values of options, as a config has them. Included by <tenon/model_plugin.h>.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace tenon {

// Several truth values, as bytes, so that plugins can be handed the array.
struct TruthList {
  std::vector<std::uint8_t> items;
  bool operator==(const TruthList& other) const { return items == other.items; }
};

// A table inside a value, in the order of the file: expressions with a value each, or keys.
struct OptionEntry;
struct OptionEntries {
  std::vector<OptionEntry> items;
  bool operator==(const OptionEntries& other) const;
};

// A value that a config hands through without knowing its meaning: a layer's constructor argument,
// a key of a plugin's method, a plugin's own option. monostate is absent (JSON's null).
using OptionValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>,
                                 std::vector<double>, std::vector<std::string>, TruthList,
                                 OptionEntries, std::monostate>;
using OptionTable = std::map<std::string, OptionValue>;

struct OptionEntry {
  std::string key;
  OptionValue value;
  bool operator==(const OptionEntry& other) const {
    return key == other.key && value == other.value;
  }
};
inline bool OptionEntries::operator==(const OptionEntries& other) const {
  return items == other.items;
}

}  // namespace tenon
