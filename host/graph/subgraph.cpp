#include "graph/subgraph.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <set>

#include "base/lists.h"
#include "graph/contexts.h"
#include "graph/graph_walk.h"
#include "graph/linear_subgraph.h"
#include "graph/subgraph_calls.h"

namespace tenon {
namespace {

bool runs_in(const Node& node, ModuleId module) {
  return std::find(node.module_stack.begin(), node.module_stack.end(), module) !=
         node.module_stack.end();
}

bool nested_graph_runs(const Graph& graph, ModuleId module) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const Node& node) {
    return runs_in(node, module) ||
           std::any_of(node.arguments.begin(), node.arguments.end(), [&](const NamedArgument& a) {
             const auto* nested = std::get_if<std::shared_ptr<Graph>>(&a.value.value);
             return nested != nullptr && nested_graph_runs(**nested, module);
           });
  });
}

// An argument as the schema's type: the exporter writes 1 for 1.0, and one number for a list.
c10::IValue as_declared(const c10::IValue& value, c10::TypePtr type) {
  if (const auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
  if (type->kind() == c10::TypeKind::FloatType && value.isInt()) {
    return static_cast<double>(value.toInt());
  }
  if (type->kind() == c10::TypeKind::ListType && value.isInt()) {
    return c10::List<std::int64_t>({value.toInt()});
  }
  return value;
}

void add_constants(const Node& node, std::map<std::string, c10::IValue>& attributes) {
  const auto schema = c10::Dispatcher::singleton().findSchema({node.target, node.overload});
  if (!schema) return;
  std::set<std::string> given;
  for (const NamedArgument& argument : node.arguments) {
    given.insert(argument.name);
    const auto index = schema->schema().argumentIndexWithName(argument.name);
    if (!index) continue;
    const c10::TypePtr type = schema->schema().arguments()[static_cast<std::size_t>(*index)].type();
    if (const auto* constant = std::get_if<c10::IValue>(&argument.value.value)) {
      attributes.emplace(argument.name, as_declared(*constant, type));
    } else if (std::holds_alternative<Argument::None>(argument.value.value)) {
      attributes.emplace(argument.name, c10::IValue());
    }
  }
  for (const c10::Argument& argument : schema->schema().arguments()) {
    if (given.contains(argument.name()) || !argument.default_value()) continue;
    attributes.emplace(argument.name(), as_declared(*argument.default_value(), argument.type()));
  }
}

// An operator on a weight that leaves its numbers as they are says nothing of the layer.
bool is_cast(const Node& node) {
  return node.target == "aten::to" || node.target == "aten::_to_copy" ||
         node.target == "aten::detach" || node.target == "aten::_assert_tensor_metadata";
}

}  // namespace

SubgraphFinder::SubgraphFinder(const ModelData& model)
    : graph_(model.graph),
      tree_(model.tree),
      tensors_(model.tensors),
      nodes_(model.tree.modules.size()),
      readers_(model.graph.values.size()),
      kept_(model.graph.values.size(), false) {
  for (std::size_t i = 0; i < graph_.nodes.size(); ++i) {
    const auto index = static_cast<std::int32_t>(i);
    for (const ModuleId module : graph_.nodes[i].module_stack) {
      auto& nodes = nodes_[static_cast<std::size_t>(module)];
      if (nodes.empty() || nodes.back() != index) nodes.push_back(index);
    }
    for_each_read(graph_.nodes[i],
                  [&](ValueId id) { readers_[static_cast<std::size_t>(id)].push_back(index); });
  }
  for (const Argument& output : graph_.outputs) {
    for_each_value(output, [&](ValueId id) { kept_[static_cast<std::size_t>(id)] = true; });
  }
  for (const auto& mutation : graph_.mutations) {
    kept_[static_cast<std::size_t>(mutation.second)] = true;
  }
}

std::vector<Subgraph> SubgraphFinder::find(ModuleId module) const {
  std::vector<Subgraph> subgraphs;  // in the order of their first nodes
  std::map<std::int32_t, std::size_t> place_of;
  for (const std::int32_t index : nodes_[static_cast<std::size_t>(module)]) {
    const Node& node = graph_.nodes[static_cast<std::size_t>(index)];
    // The call is counted for the innermost module only; an outer one is taken as one call.
    const std::int32_t call = node.module_stack.back() == module ? node.call_index : 0;
    const auto [place, is_new] = place_of.try_emplace(call, subgraphs.size());
    if (is_new) subgraphs.emplace_back().module = module;
    subgraphs[place->second].nodes.push_back(index);
  }
  for (Subgraph& subgraph : subgraphs) {
    leave_out_sizes(subgraph.nodes);
    find_borders(subgraph);
  }
  give_same_borders(graph_, subgraphs);
  return subgraphs;
}

// Arithmetic on sizes from outside stays outside: the exporter computes a size once, in the module
// that needs it first, for all that need it.
void SubgraphFinder::leave_out_sizes(std::vector<std::int32_t>& nodes) const {
  std::set<ValueId> made_inside;
  std::erase_if(nodes, [&](std::int32_t index) {
    const Node& node = graph_.nodes[static_cast<std::size_t>(index)];
    bool is_outside = !node.results.empty();
    for_each_read(node, [&](ValueId id) { is_outside = is_outside && !made_inside.contains(id); });
    for_each_write(node, [&](ValueId id) {
      is_outside = is_outside && graph_.values[static_cast<std::size_t>(id)].is_number;
    });
    if (is_outside) return true;
    for_each_write(node, [&](ValueId id) { made_inside.insert(id); });
    return false;
  });
}

Subgraph SubgraphFinder::subgraph_of(ModuleId module, std::vector<std::int32_t> nodes) const {
  Subgraph subgraph;
  subgraph.module = module;
  subgraph.nodes = std::move(nodes);
  find_borders(subgraph);
  return subgraph;
}

// Whether a parameter or buffer is another module's: to this one it is an input like any other (a
// table of positions that a layer turns into a bias). Constants are nobody's.
bool SubgraphFinder::comes_from_outside(std::int32_t tensor, ModuleId module) const {
  const std::string& path = tree_.at(module).path;
  const ModelTensor& read = tensors_[static_cast<std::size_t>(tensor)];
  return !path.empty() && read.kind != ValueKind::kConstant && !read.name_in(path);
}

// What crosses the border of the subgraph's nodes.
void SubgraphFinder::find_borders(Subgraph& subgraph) const {
  const std::set<std::int32_t> own(subgraph.nodes.begin(), subgraph.nodes.end());
  std::set<ValueId> made_inside;
  for (const std::int32_t index : subgraph.nodes) {
    const Node& node = graph_.nodes[static_cast<std::size_t>(index)];
    for_each_read(node, [&](ValueId id) {
      const Value& value = graph_.values[static_cast<std::size_t>(id)];
      if (value.tensor >= 0 && !comes_from_outside(value.tensor, subgraph.module)) {
        add_once(subgraph.tensors, value.tensor);
      } else if (!made_inside.contains(id)) {
        add_once(value.is_number ? subgraph.numbers : subgraph.inputs, id);
      }
    });
    for_each_write(node, [&](ValueId id) {
      made_inside.insert(id);
      const auto& readers = readers_[static_cast<std::size_t>(id)];
      const bool read_outside = std::any_of(readers.begin(), readers.end(),
                                            [&](std::int32_t r) { return !own.contains(r); });
      if (read_outside || kept_[static_cast<std::size_t>(id)]) add_once(subgraph.outputs, id);
    });
  }
}

std::vector<Subgraph> SubgraphFinder::readers(ModuleId module,
                                              const std::vector<std::int32_t>& tensors) const {
  std::vector<Subgraph> subgraphs;
  for (const std::int32_t index : nodes_[static_cast<std::size_t>(module)]) {
    const Node& node = graph_.nodes[static_cast<std::size_t>(index)];
    if (node.module_stack.back() != module) continue;
    bool is_reader = false;
    for_each_read(node, [&](ValueId id) {
      const std::int32_t tensor = graph_.values[static_cast<std::size_t>(id)].tensor;
      is_reader = is_reader || std::find(tensors.begin(), tensors.end(), tensor) != tensors.end();
    });
    if (is_reader) subgraphs.push_back(subgraph_of(module, {index}));
  }
  return subgraphs;
}

bool SubgraphFinder::runs_nested(ModuleId module) const {
  return nested_graph_runs(graph_, module);
}

bool SubgraphFinder::runs_without_gradients(const Subgraph& subgraph) const {
  return std::none_of(subgraph.nodes.begin(), subgraph.nodes.end(), [&](std::int32_t index) {
    return has_gradients(graph_, graph_.nodes[static_cast<std::size_t>(index)].context);
  });
}

std::string single_operator(const ModelData& model, const Subgraph& subgraph) {
  if (is_linear(model, subgraph)) return "aten::linear";
  if (subgraph.nodes.size() != 1 || !subgraph.numbers.empty()) return "";
  return model.graph.nodes[static_cast<std::size_t>(subgraph.nodes[0])].target;
}

std::map<std::string, c10::IValue> operator_attributes(const ModelData& model,
                                                       const Subgraph& subgraph) {
  std::map<std::string, c10::IValue> attributes;
  std::set<ValueId> weights;  // the subgraph's tensors, and what is made of them alone
  for (const std::int32_t index : subgraph.nodes) {
    const Node& node = model.graph.nodes[static_cast<std::size_t>(index)];
    bool uses_weight = false;
    bool uses_other = false;
    for_each_read(node, [&](ValueId id) {
      const Value& value = model.graph.values[static_cast<std::size_t>(id)];
      const bool is_weight = weights.contains(id) || value.tensor >= 0;
      uses_weight = uses_weight || is_weight;
      uses_other = uses_other || !is_weight;
    });
    if (!uses_weight) continue;
    if (!uses_other) for_each_write(node, [&](ValueId id) { weights.insert(id); });
    if (!is_cast(node)) add_constants(node, attributes);
  }
  return attributes;
}

Graph subgraph_program(const ModelData& model, const Subgraph& subgraph) {
  Graph graph;
  graph.contexts = model.graph.contexts;
  // Values are numbered anew, in the order they are met.
  std::map<ValueId, ValueId> renamed;
  const auto local = [&](ValueId id) {
    const auto [entry, is_new] = renamed.emplace(id, static_cast<ValueId>(graph.values.size()));
    if (is_new) {
      Value value = model.graph.values[static_cast<std::size_t>(id)];
      if (value.tensor >= 0) {  // weights arrive with each call, under their own name
        value.name = model.tensors[static_cast<std::size_t>(value.tensor)].name;
        value.tensor = -1;
      }
      graph.values.push_back(std::move(value));
    }
    return entry->second;
  };
  const auto rename = [&](ValueId& id) { id = local(id); };

  std::map<std::int32_t, ValueId> weights;  // tensor -> its first value in the subgraph
  std::vector<ValueId> weight_values;
  for (const std::int32_t index : subgraph.nodes) {
    for_each_read(model.graph.nodes[static_cast<std::size_t>(index)], [&](ValueId id) {
      const std::int32_t tensor = model.graph.values[static_cast<std::size_t>(id)].tensor;
      if (tensor < 0) return;
      weights.emplace(tensor, id);
      weight_values.push_back(id);
    });
  }
  for (const ValueId id : subgraph.inputs) graph.inputs.push_back(local(id));
  for (const std::int32_t tensor : subgraph.tensors)
    graph.inputs.push_back(local(weights.at(tensor)));
  for (const ValueId id : subgraph.numbers) graph.inputs.push_back(local(id));
  // Other values of one tensor are its first.
  for (const ValueId id : weight_values) {
    const std::int32_t tensor = model.graph.values[static_cast<std::size_t>(id)].tensor;
    renamed.emplace(id, renamed.at(weights.at(tensor)));
  }
  for (const std::int32_t index : subgraph.nodes) {
    Node node = model.graph.nodes[static_cast<std::size_t>(index)];
    for_each_read(node, rename);
    for_each_write(node, rename);
    graph.nodes.push_back(std::move(node));
  }
  for (const ValueId id : subgraph.outputs) graph.outputs.push_back({local(id)});
  return graph;
}

}  // namespace tenon
