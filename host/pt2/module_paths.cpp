#include "pt2/module_paths.h"

#include <algorithm>
#include <utility>

#include "graph/tensor_names.h"

namespace tenon::pt2 {

std::string without_call_number(std::string_view path) {
  const std::size_t at = path.rfind('@');
  if (at == std::string_view::npos || at + 1 == path.size()) return std::string(path);
  const std::string_view number = path.substr(at + 1);
  const bool is_number = std::all_of(number.begin(), number.end(),
                                     [](char digit) { return digit >= '0' && digit <= '9'; });
  return std::string(is_number ? path.substr(0, at) : path);
}

ModulePaths::ModulePaths() { append(""); }

void ModulePaths::append(const std::string& path) {
  if (known_.insert(path).second) paths_.push_back(path);
}

void ModulePaths::insert(const std::string& path) {
  if (known_.contains(path)) return;
  const std::string parent(parent_path(path));
  insert(parent);
  const std::string prefix = parent + ".";
  const auto is_below = [&](const std::string& other) {
    return parent.empty() || other.starts_with(prefix);
  };
  const auto after_parent = std::find(paths_.begin(), paths_.end(), parent) + 1;
  paths_.insert(std::find_if_not(after_parent, paths_.end(), is_below), path);
  known_.insert(path);
}

SharedModules::SharedModules(std::vector<std::string> paths) : paths_(std::move(paths)) {
  for (std::size_t index = 0; index < paths_.size(); ++index) {
    index_of_.emplace(paths_[index], index);
    earlier_.push_back(index);
  }
}

void SharedModules::unite(const std::string& one, const std::string& other) {
  const std::vector<std::size_t> below = subtree(one);
  if (below.size() != subtree(other).size()) return;
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (const std::size_t index : below) {
    const auto match = index_of_.find(other + paths_[index].substr(one.size()));
    if (match == index_of_.end()) return;
    pairs.emplace_back(index, match->second);
  }
  for (const auto& [left, right] : pairs) {
    const auto [first, second] = std::minmax({representative(left), representative(right)});
    earlier_[second] = first;
  }
}

const std::string& SharedModules::first_name(const std::string& path) const {
  return paths_[representative(index_of_.at(path))];
}

std::size_t SharedModules::representative(std::size_t index) const {
  while (earlier_[index] != index) index = earlier_[index];
  return index;
}

std::vector<std::size_t> SharedModules::subtree(const std::string& path) const {
  const std::string prefix = path + ".";
  std::vector<std::size_t> result;
  for (std::size_t index = 0; index < paths_.size(); ++index) {
    if (paths_[index] == path || paths_[index].starts_with(prefix)) result.push_back(index);
  }
  return result;
}

}  // namespace tenon::pt2
