#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tenon::pt2 {

// "seq.0@1", the second call of seq.0, is the module seq.0.
std::string without_call_number(std::string_view path);

// The paths of a model's modules in model order, the root first.
class ModulePaths {
 public:
  ModulePaths();
  // At the end, as listed. Does nothing if it is there.
  void append(const std::string& path);
  // Behind the last module of its parent's subtree, after adding the parent likewise.
  void insert(const std::string& path);
  const std::vector<std::string>& list() const { return paths_; }

 private:
  std::vector<std::string> paths_;
  std::unordered_set<std::string> known_;
};

// Which paths name the same module: sets of indices into a list of paths, each represented by the
// first of its paths.
class SharedModules {
 public:
  explicit SharedModules(std::vector<std::string> paths);
  // Both paths, and what lies below them, are the same modules. Does nothing if the modules below
  // them differ.
  void unite(const std::string& one, const std::string& other);
  const std::string& first_name(const std::string& path) const;

 private:
  std::size_t representative(std::size_t index) const;
  std::vector<std::size_t> subtree(const std::string& path) const;

  std::vector<std::string> paths_;
  std::unordered_map<std::string, std::size_t> index_of_;
  std::vector<std::size_t> earlier_;  // a path of the same module, or itself
};

}  // namespace tenon::pt2
