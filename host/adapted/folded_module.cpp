#include "adapted/folded_module.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"

namespace tenon {
namespace {

// What goes into a block: values, but not the model's own tensors, which the program holds.
std::vector<ValueId> inputs_of(const ModelData& model, const Subgraph& subgraph) {
  std::vector<ValueId> inputs = subgraph.inputs;
  std::erase_if(inputs, [&](ValueId id) {
    return model.graph.values[static_cast<std::size_t>(id)].tensor >= 0;
  });
  inputs.insert(inputs.end(), subgraph.numbers.begin(), subgraph.numbers.end());
  return inputs;
}

Graph graph_of(const ModelData& model, const Subgraph& subgraph) {
  Graph graph;
  graph.values = model.graph.values;
  graph.contexts = model.graph.contexts;
  for (const std::int32_t index : subgraph.nodes) {
    graph.nodes.push_back(model.graph.nodes[static_cast<std::size_t>(index)]);
  }
  graph.inputs = inputs_of(model, subgraph);
  for (const ValueId id : subgraph.outputs) graph.outputs.push_back({id});
  return graph;
}

// Those that lie inside the block, by its numbering of nodes.
std::vector<LayerReplacement> take_replacements(const ModelData& model, const Subgraph& subgraph,
                                                std::vector<LayerReplacement>& replacements,
                                                const std::string& key) {
  std::map<std::int32_t, std::int32_t> place;  // of the model's nodes in the block
  for (const std::int32_t index : subgraph.nodes) {
    place.emplace(index, static_cast<std::int32_t>(place.size()));
  }
  std::vector<LayerReplacement> inside;
  std::vector<LayerReplacement> outside;
  for (LayerReplacement& each : replacements) {
    std::vector<std::int32_t>& nodes = each.replacement.nodes;
    const auto count = std::count_if(nodes.begin(), nodes.end(),
                                     [&](std::int32_t node) { return place.contains(node); });
    if (count == 0) {
      outside.push_back(std::move(each));
      continue;
    }
    if (count != static_cast<std::ptrdiff_t>(nodes.size())) {
      throw Error({.stage = Stage::kInjection,
                   .message = "`" + each.replacement.name + "` runs only in part inside `" +
                              model.tree.at(subgraph.module).path + "`, so that [train] " + key +
                              " cannot take it",
                   .hint = "for [train] checkpoint, name the module around them"});
    }
    for (std::int32_t& node : nodes) node = place.at(node);
    inside.push_back(std::move(each));
  }
  replacements = std::move(outside);
  return inside;
}

}  // namespace

FoldedModule fold_module(const ModelData& model, const Subgraph& subgraph,
                         std::vector<LayerReplacement>& replacements, const std::string& key) {
  FoldedModule folded;
  Replacement& place = folded.place.replacement;
  place.nodes = subgraph.nodes;
  place.inputs = inputs_of(model, subgraph);
  place.outputs = subgraph.outputs;
  place.name = model.tree.at(subgraph.module).path;

  std::vector<Replacement> inner;
  auto& layers = folded.place.layers;
  for (LayerReplacement& each : take_replacements(model, subgraph, replacements, key)) {
    inner.push_back(std::move(each.replacement));
    layers.insert(layers.end(), each.layers.begin(), each.layers.end());
  }
  folded.program =
      std::make_shared<const Program>(graph_of(model, subgraph), model.tensors, std::move(inner));
  return folded;
}

}  // namespace tenon
