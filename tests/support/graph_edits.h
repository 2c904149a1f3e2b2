#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph_walk.h"
#include "graph/subgraph.h"

// Changes to the graphs of small models, as other classes' forwards would have made them.
namespace tenon::testing {

inline Node& node_of(ModelData& model, const char* path) {
  return *std::ranges::find_if(model.graph.nodes, [&](const Node& node) {
    return node.module_stack.back() == model.tree.find(path);
  });
}

inline ValueId value_of(const ModelData& model, const std::string& tensor) {
  const auto found = std::ranges::find(model.tensors, tensor, &ModelTensor::name);
  const auto number = static_cast<std::int32_t>(found - model.tensors.begin());
  const auto value = std::ranges::find(model.graph.values, number, &Value::tensor);
  return static_cast<ValueId>(value - model.graph.values.begin());
}

inline ValueId result_of(const Node& node) { return node.results[0].values[0]; }

// Puts `target(value, arguments...)` into the module, before the readers of the value.
inline ValueId insert_operator(ModelData& model, const char* path, const std::string& target,
                               ValueId value, std::vector<NamedArgument> arguments = {}) {
  Graph& graph = model.graph;
  const auto made = static_cast<ValueId>(graph.values.size());
  graph.values.push_back({"made_" + std::to_string(made)});
  std::size_t place = graph.nodes.size();
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    for_each_read(graph.nodes[i], [&](ValueId& id) {
      if (id != value) return;
      id = made;
      place = i;
    });
  }
  for (Argument& output : graph.outputs) {
    for_each_value(output, [&](ValueId& id) { id = id == value ? made : id; });
  }
  Node node;
  node.target = target;
  node.arguments = std::move(arguments);
  node.arguments.insert(node.arguments.begin(), {"self", {value}});
  node.results = {{false, {made}}};
  node.module_stack = node_of(model, path).module_stack;
  graph.nodes.insert(graph.nodes.begin() + static_cast<std::ptrdiff_t>(place), std::move(node));
  return made;
}

inline std::vector<Subgraph> calls_of(const ModelData& model, const char* path) {
  return SubgraphFinder(model).find(model.tree.find(path));
}

}  // namespace tenon::testing
