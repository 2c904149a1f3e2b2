#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace tenon {

// Sentences of which many say the same of one module each, told once: "acme.Odd at `a` (and `b`,
// `c`, 9 more) is not supported".
class GroupedTexts {
 public:
  // `text` has "`path`" where it names the module, or does not name it.
  void add(const std::string& path, const std::string& text);
  bool empty() const { return groups_.empty(); }
  std::size_t size() const;  // of the modules
  std::vector<std::string> texts() const;

 private:
  std::vector<std::pair<std::string, std::vector<std::string>>> groups_;  // text, paths
};

}  // namespace tenon
