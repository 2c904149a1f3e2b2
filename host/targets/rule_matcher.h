#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/adapter_config.h"
#include "targets/python_regex.h"

namespace tenon {

// layers_to_transform: the number behind the layer list's name (PEFT takes the first number in the
// path, so the layer and not the expert, unless layers_pattern names the list).
class LayerFilter {
 public:
  explicit LayerFilter(const AdapterConfig& config);
  bool is_on() const { return !wanted_.empty(); }
  // The layer that a path lies in; nothing where the path tells none.
  std::optional<std::int64_t> layer_of(const std::string& path) const;
  bool wants(std::int64_t layer) const { return wanted_.contains(layer); }

 private:
  std::set<std::int64_t> wanted_;
  std::vector<PythonRegex> patterns_;
};

// One ModuleRule made ready, counting for each entry what it took, so that one that takes nothing
// is told.
class RuleMatcher {
 public:
  // `filter`, if given, outlives the matcher.
  RuleMatcher(std::string key, const ModuleRule& rule, const LayerFilter* filter = nullptr);

  bool matches(const std::string& path);
  // One sentence for each entry that took nothing, with the nearest of `paths`.
  std::vector<std::string> unmatched(const std::vector<std::string>& paths) const;
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string text;
    std::size_t hits = 0;
    std::size_t without_layer = 0;           // modules that layers_to_transform left out
    std::set<std::int64_t> unwanted_layers;  // and the layers they are in
  };
  bool take(Entry& entry, const std::string& path, bool whole) const;
  std::string explain(const Entry& entry, const std::vector<std::string>& paths) const;

  std::string key_;
  const LayerFilter* filter_;
  std::optional<PythonRegex> regex_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;  // entries_ by text
};

}  // namespace tenon
