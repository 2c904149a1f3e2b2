#include "graph/tensor_names.h"

namespace tenon {

std::string_view parent_path(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}

std::vector<std::string> all_names(const ModelTensor& tensor) {
  std::vector<std::string> names{tensor.name};
  names.insert(names.end(), tensor.aliases.begin(), tensor.aliases.end());
  return names;
}

}  // namespace tenon
