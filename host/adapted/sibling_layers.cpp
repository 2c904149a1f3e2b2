#include "adapted/sibling_layers.h"

#include <algorithm>
#include <map>
#include <utility>

#include "graph/graph_walk.h"
#include "graph/tensor_names.h"
#include "interpreter/named_scope.h"

namespace tenon {
namespace {

bool is_one_operator(const ModelData& model, const Subgraph& subgraph) {
  return !single_operator(model, subgraph).empty() && subgraph.inputs.size() == 1 &&
         subgraph.outputs.size() == 1;
}

// Whether a node outside the group, between its first and its last, writes into an argument.
bool is_disturbed(const Graph& graph, const std::vector<LayerCall>& group) {
  std::vector<std::int32_t> own;
  for (const LayerCall& call : group) {
    own.insert(own.end(), call.subgraph->nodes.begin(), call.subgraph->nodes.end());
  }
  const auto [first, last] = std::minmax_element(own.begin(), own.end());
  for (std::int32_t i = *first; i <= *last; ++i) {
    const bool outside = std::find(own.begin(), own.end(), i) == own.end();
    if (outside && writes_in_place(graph.nodes[static_cast<std::size_t>(i)])) return true;
  }
  return false;
}

Replacement replace_one(LayerCall call) {
  Replacement replacement;
  replacement.nodes = call.subgraph->nodes;
  replacement.inputs = call.subgraph->inputs;
  replacement.inputs.insert(replacement.inputs.end(), call.subgraph->numbers.begin(),
                            call.subgraph->numbers.end());
  replacement.outputs = call.subgraph->outputs;
  replacement.name = call.layer->path();
  replacement.function = [layer = call.layer, program = std::move(call.program),
                          name = std::string(kLayerScope) + call.layer->path()](
                             std::vector<c10::IValue> values, const RunMode& mode) {
    const NamedScope scope(name);
    return layer->run(*program, std::move(values), mode);
  };
  return replacement;
}

}  // namespace

std::vector<std::vector<LayerCall>> group_siblings(const ModelData& model,
                                                   const std::vector<LayerCall>& calls) {
  std::vector<std::vector<LayerCall>> groups;
  std::map<std::pair<ValueId, std::string>, std::size_t> open;  // input and parent -> group
  for (const LayerCall& call : calls) {
    if (!is_one_operator(model, *call.subgraph)) {
      groups.push_back({call});
      continue;
    }
    const auto [place, is_new] = open.emplace(
        std::pair(call.subgraph->inputs[0], std::string(parent_path(call.layer->path()))),
        groups.size());
    if (!is_new) {
      std::vector<LayerCall>& group = groups[place->second];
      group.push_back(call);
      if (!is_disturbed(model.graph, group)) continue;
      group.pop_back();
      place->second = groups.size();
    }
    groups.push_back({call});
  }
  return groups;
}

Replacement replace_siblings(std::vector<LayerCall> group) {
  if (group.size() == 1) return replace_one(std::move(group[0]));
  Replacement replacement;
  replacement.inputs = group[0].subgraph->inputs;
  std::vector<SiblingRun> runs;
  for (LayerCall& call : group) {
    replacement.nodes.insert(replacement.nodes.end(), call.subgraph->nodes.begin(),
                             call.subgraph->nodes.end());
    replacement.outputs.push_back(call.subgraph->outputs[0]);
    replacement.name += (replacement.name.empty() ? "" : ", ") + call.layer->path();
    runs.push_back({call.layer, std::move(call.program)});
  }
  std::sort(replacement.nodes.begin(), replacement.nodes.end());
  replacement.function = [runs = std::move(runs),
                          name = std::string(kLayerScope) + group[0].layer->path()](
                             std::vector<c10::IValue> values, const RunMode& mode) {
    const NamedScope scope(name);
    return AdaptedLayer::run_siblings(runs, std::move(values), mode);
  };
  return replacement;
}

}  // namespace tenon
