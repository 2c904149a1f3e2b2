#include "model/running_statistics.h"

#include <algorithm>

#include "graph/tensor_names.h"
#include "interpreter/mode_flags.h"

namespace tenon {
namespace {

bool updates_statistics(const Node& node) {
  return std::ranges::any_of(node.arguments, [&](const NamedArgument& argument) {
    return mode_flag(node, argument.name) == Operand::Kind::kBatchNormTraining;
  });
}

}  // namespace

std::vector<std::string> modules_with_statistics(const ModelData& model) {
  std::vector<std::string> paths;
  for (const Node& node : model.graph.nodes) {
    if (!updates_statistics(node)) continue;
    for (const NamedArgument& argument : node.arguments) {
      const auto* value = std::get_if<ValueId>(&argument.value.value);
      if (argument.name != "running_mean" || value == nullptr) continue;
      const std::int32_t tensor = model.graph.values[static_cast<std::size_t>(*value)].tensor;
      if (tensor < 0) continue;
      const std::string& name = model.tensors[static_cast<std::size_t>(tensor)].name;
      const std::string path(parent_path(name));
      if (std::ranges::count(paths, path) == 0) paths.push_back(path);
    }
  }
  return paths;
}

}  // namespace tenon
