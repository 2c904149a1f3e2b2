#include "model/region.h"

#include <algorithm>
#include <functional>
#include <set>

namespace tenon {
namespace {

using ValueVisitor = std::function<void(ValueId)>;

void visit_values(const Argument& argument, const ValueVisitor& visit) {
  if (const auto* id = std::get_if<ValueId>(&argument.value)) visit(*id);
  if (const auto* list = std::get_if<Argument::List>(&argument.value)) {
    for (const Argument& item : list->items) visit_values(item, visit);
  }
}

void visit_reads(const Node& node, const ValueVisitor& visit) {
  for (const NamedArgument& argument : node.arguments) visit_values(argument.value, visit);
}

void visit_writes(const Node& node, const ValueVisitor& visit) {
  for (const Result& result : node.results) {
    for (const ValueId id : result.values) {
      if (id != kNoValue) visit(id);
    }
  }
}

template <typename T>
void add_once(std::vector<T>& list, T item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
}

bool runs_in(const Node& node, ModuleId module) {
  return std::find(node.module_stack.begin(), node.module_stack.end(), module) !=
         node.module_stack.end();
}

// What crosses the border of a set of nodes.
void find_borders(const Graph& graph, Region& region) {
  const std::set<std::int32_t> own(region.nodes.begin(), region.nodes.end());
  std::set<ValueId> made_inside;
  for (const std::int32_t index : region.nodes) {
    const Node& node = graph.nodes[static_cast<std::size_t>(index)];
    visit_reads(node, [&](ValueId id) {
      const Value& value = graph.values[static_cast<std::size_t>(id)];
      if (value.tensor >= 0) {
        add_once(region.tensors, value.tensor);
      } else if (!made_inside.contains(id)) {
        add_once(value.is_number ? region.numbers : region.inputs, id);
      }
    });
    visit_writes(node, [&](ValueId id) { made_inside.insert(id); });
  }
  std::set<ValueId> used_outside;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (own.contains(static_cast<std::int32_t>(i))) continue;
    visit_reads(graph.nodes[i], [&](ValueId id) { used_outside.insert(id); });
  }
  for (const Argument& output : graph.outputs) {
    visit_values(output, [&](ValueId id) { used_outside.insert(id); });
  }
  for (const auto& mutation : graph.mutations) used_outside.insert(mutation.second);
  for (const std::int32_t index : region.nodes) {
    visit_writes(graph.nodes[static_cast<std::size_t>(index)], [&](ValueId id) {
      if (used_outside.contains(id)) add_once(region.outputs, id);
    });
  }
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

}  // namespace

std::vector<Region> find_regions(const ModelData& model, ModuleId module) {
  const Graph& graph = model.graph;
  std::map<std::int32_t, Region> calls;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (!runs_in(node, module)) continue;
    // The call is counted for the innermost module only; an outer one is taken as one call.
    const std::int32_t call = node.module_stack.back() == module ? node.call_index : 0;
    Region& region = calls[call];
    region.module = module;
    region.nodes.push_back(static_cast<std::int32_t>(i));
  }
  std::vector<Region> regions;
  for (auto& [call, region] : calls) {
    find_borders(graph, region);
    regions.push_back(std::move(region));
  }
  return regions;
}

bool runs_only_nested(const ModelData& model, ModuleId module) {
  return find_regions(model, module).empty() && nested_graph_runs(model.graph, module);
}

std::string single_operator(const ModelData& model, const Region& region) {
  if (region.nodes.size() != 1 || !region.numbers.empty()) return "";
  return model.graph.nodes[static_cast<std::size_t>(region.nodes[0])].target;
}

std::map<std::string, c10::IValue> operator_attributes(const ModelData& model,
                                                       const Region& region) {
  std::map<std::string, c10::IValue> attributes;
  for (const std::int32_t index : region.nodes) {
    const Node& node = model.graph.nodes[static_cast<std::size_t>(index)];
    bool uses_weight = false;
    visit_reads(node, [&](ValueId id) {
      uses_weight = uses_weight || model.graph.values[static_cast<std::size_t>(id)].tensor >= 0;
    });
    if (!uses_weight) continue;
    for (const NamedArgument& argument : node.arguments) {
      if (const auto* constant = std::get_if<c10::IValue>(&argument.value.value)) {
        attributes.emplace(argument.name, *constant);
      }
    }
    break;
  }
  return attributes;
}

Graph region_graph(const ModelData& model, const Region& region) {
  Graph graph;
  // Values are numbered anew, in the order they are met.
  std::map<ValueId, ValueId> renamed;
  const auto local = [&](ValueId id) {
    const auto [entry, is_new] = renamed.emplace(id, static_cast<ValueId>(graph.values.size()));
    if (is_new) {
      Value value = model.graph.values[static_cast<std::size_t>(id)];
      value.tensor = -1;  // weights arrive with each call
      graph.values.push_back(std::move(value));
    }
    return entry->second;
  };
  const std::function<void(Argument&)> rename = [&](Argument& argument) {
    if (auto* id = std::get_if<ValueId>(&argument.value)) *id = local(*id);
    if (auto* list = std::get_if<Argument::List>(&argument.value)) {
      for (Argument& item : list->items) rename(item);
    }
  };

  std::map<std::int32_t, ValueId> weights;  // tensor -> its (first) value in the region
  std::map<ValueId, ValueId> same_weight;   // other values of a tensor -> the first
  for (std::size_t id = 0; id < model.graph.values.size(); ++id) {
    const std::int32_t tensor = model.graph.values[id].tensor;
    if (tensor < 0) continue;
    const auto [entry, is_new] = weights.emplace(tensor, static_cast<ValueId>(id));
    if (!is_new) same_weight.emplace(static_cast<ValueId>(id), entry->second);
  }
  for (const ValueId id : region.inputs) graph.inputs.push_back(local(id));
  for (const std::int32_t tensor : region.tensors)
    graph.inputs.push_back(local(weights.at(tensor)));
  for (const ValueId id : region.numbers) graph.inputs.push_back(local(id));
  for (const auto& [other, first] : same_weight) {
    if (renamed.contains(first)) renamed.emplace(other, renamed.at(first));
  }
  for (const std::int32_t index : region.nodes) {
    Node node = model.graph.nodes[static_cast<std::size_t>(index)];
    for (NamedArgument& argument : node.arguments) rename(argument.value);
    for (Result& result : node.results) {
      for (ValueId& id : result.values) {
        if (id != kNoValue) id = local(id);
      }
    }
    graph.nodes.push_back(std::move(node));
  }
  for (const ValueId id : region.outputs) graph.outputs.push_back({local(id)});
  return graph;
}

}  // namespace tenon
