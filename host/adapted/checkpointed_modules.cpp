#include "adapted/checkpointed_modules.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "graph/subgraph.h"
#include "interpreter/checkpoint.h"
#include "targets/rule_matcher.h"

namespace tenon {
namespace {

[[noreturn]] void fail_checkpoint(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kInjection, .message = message, .hint = hint});
}

// A module's nodes as a program of their own, with the model's numbering of values.
struct Block {
  Subgraph subgraph;
  std::vector<LayerReplacement> replacements;  // inside it, by the block's numbering of nodes
};

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

// Takes the replacements that lie inside the block.
void take_replacements(const ModelData& model, Block& block,
                       std::vector<LayerReplacement>& replacements) {
  std::map<std::int32_t, std::int32_t> place;  // of the model's nodes in the block
  for (const std::int32_t index : block.subgraph.nodes) {
    place.emplace(index, static_cast<std::int32_t>(place.size()));
  }
  std::vector<LayerReplacement> outside;
  for (LayerReplacement& each : replacements) {
    std::vector<std::int32_t>& nodes = each.replacement.nodes;
    const auto inside = std::count_if(nodes.begin(), nodes.end(),
                                      [&](std::int32_t node) { return place.contains(node); });
    if (inside == 0) {
      outside.push_back(std::move(each));
      continue;
    }
    if (inside != static_cast<std::ptrdiff_t>(nodes.size())) {
      fail_checkpoint("`" + each.replacement.name + "` runs only in part inside `" +
                          model.tree.at(block.subgraph.module).path +
                          "`, so that cannot be checkpointed",
                      "name the module around them in [train] checkpoint");
    }
    for (std::int32_t& node : nodes) node = place.at(node);
    block.replacements.push_back(std::move(each));
  }
  replacements = std::move(outside);
}

std::vector<at::Tensor> of_kind(const ModelData& model, const Subgraph& subgraph, ValueKind kind) {
  std::vector<at::Tensor> tensors;
  for (const std::int32_t index : subgraph.tensors) {
    const ModelTensor& tensor = model.tensors[static_cast<std::size_t>(index)];
    if (tensor.kind == kind) tensors.push_back(tensor.tensor);
  }
  return tensors;
}

LayerReplacement fold(const ModelData& model, Block block) {
  const Subgraph& subgraph = block.subgraph;
  LayerReplacement folded;
  Replacement& replacement = folded.replacement;
  replacement.nodes = subgraph.nodes;
  replacement.inputs = inputs_of(model, subgraph);
  replacement.outputs = subgraph.outputs;
  replacement.name = model.tree.at(subgraph.module).path;

  std::vector<Replacement> inner;
  for (LayerReplacement& each : block.replacements) {
    inner.push_back(std::move(each.replacement));
    folded.layers.insert(folded.layers.end(), each.layers.begin(), each.layers.end());
  }
  const auto program =
      std::make_shared<const Program>(graph_of(model, subgraph), model.tensors, std::move(inner));
  replacement.function = [program, layers = folded.layers,
                          parameters = of_kind(model, subgraph, ValueKind::kParameter),
                          buffers = of_kind(model, subgraph, ValueKind::kBuffer)](
                             std::vector<c10::IValue> values, const RunMode& mode) {
    std::vector<at::Tensor> trained = parameters;
    std::vector<at::Tensor> written = buffers;
    for (const auto& layer : layers) {
      mode.layers->visit_slots(*layer, [&](const LayerAdapter& layer_adapter) {
        trained.insert(trained.end(), layer_adapter.parameters().begin(),
                       layer_adapter.parameters().end());
        for (const at::Tensor& weight : layer_adapter.weights()) {
          if (!weight.defined()) continue;
          (weight.requires_grad() ? trained : written).push_back(weight);
        }
      });
    }
    return run_checkpointed(
        [program, mode](std::vector<c10::IValue> given) {
          return program->run(std::move(given), mode);
        },
        std::move(values), std::move(trained), std::move(written));
  };
  return folded;
}

}  // namespace

std::vector<ModuleId> modules_to_checkpoint(const ModelData& model, const ModuleRule& rule) {
  RuleMatcher matcher("[train] checkpoint", rule);
  std::vector<std::string> paths;
  std::vector<ModuleId> modules;
  for (std::size_t i = 1; i < model.tree.modules.size(); ++i) {
    const std::string& path = paths.emplace_back(model.tree.modules[i].path);
    if (!matcher.matches(path)) continue;
    for (const ModuleId outer : modules) {
      if (path.starts_with(model.tree.at(outer).path + ".")) {
        fail_checkpoint("[train] checkpoint names `" + path + "` and `" +
                            model.tree.at(outer).path + "`, which it lies in",
                        "name one of the two");
      }
    }
    modules.push_back(static_cast<ModuleId>(i));
  }
  std::string unmatched;
  for (const std::string& problem : matcher.unmatched(paths)) {
    unmatched += (unmatched.empty() ? "" : "\n") + problem;
  }
  if (!unmatched.empty()) fail_checkpoint(unmatched, "`tenon tree` lists the modules");
  return modules;
}

std::vector<Replacement> checkpoint_modules(const ModelData& model,
                                            std::vector<LayerReplacement> replacements,
                                            const std::vector<ModuleId>& modules) {
  std::optional<SubgraphFinder> finder;  // indexes the whole graph
  if (!modules.empty()) finder.emplace(model);
  std::vector<LayerReplacement> folded;
  for (const ModuleId module : modules) {
    const std::vector<Subgraph> subgraphs = finder->find(module);
    if (subgraphs.empty()) {
      fail_checkpoint("[train] checkpoint names `" + model.tree.at(module).path +
                          "`, but the exported program runs no operator of it by itself",
                      "name a module that runs; `tenon tree` marks those that do not");
    }
    for (const Subgraph& subgraph : subgraphs) {
      Block block{subgraph, {}};
      take_replacements(model, block, replacements);
      folded.push_back(fold(model, std::move(block)));
    }
  }
  std::vector<Replacement> all;
  for (auto* list : {&replacements, &folded}) {
    for (LayerReplacement& each : *list) all.push_back(std::move(each.replacement));
  }
  return all;
}

}  // namespace tenon
