#include "plan/idle_modules.h"

#include <algorithm>
#include <set>

#include "graph/graph_walk.h"
#include "model/layer_kind.h"
#include "model/reachability.h"

namespace tenon {

IdleModules::IdleModules(const ModelData& model, const SubgraphFinder& finder)
    : model_(model),
      finder_(finder),
      owned_(model.tensors),
      reachable_(reachable_nodes(model.graph)) {}

std::string IdleModules::why(ModuleId id) const {
  if (is_run_by_attention(model_, id)) {
    return "is never run by itself: the torch.nn.MultiheadAttention around it uses its weight, and "
           "an adapter on that layer updates it too";
  }
  std::vector<Subgraph> calls = finder_.find(id);
  if (calls.empty() && finder_.runs_nested(id)) return "";
  erase_from(calls);
  if (!calls.empty()) return "";
  const std::string reader = reader_of(model_.tree.at(id).path);
  if (!reader.empty()) return "is never run by itself: " + reader + " reads its parameters";
  return "has no operator that the program's outputs depend on: its result is unused, or the "
         "export left it out";
}

std::string IdleModules::why(const ParameterTargets& targets) const {
  std::vector<std::int32_t> wanted;
  for (const OwnedTensor& owned : owned_.of(targets.module)) {
    if (std::ranges::find(targets.names, owned.name) != targets.names.end()) {
      wanted.push_back(owned.tensor);
    }
  }
  std::vector<Subgraph> calls = finder_.readers(model_.tree.find(targets.module), wanted);
  erase_from(calls);
  return calls.empty() ? "never uses the adapted parameters in its own forward" : "";
}

void IdleModules::erase_from(std::vector<Subgraph>& calls) const {
  std::erase_if(calls, [&](const Subgraph& call) {
    return std::ranges::none_of(
        call.nodes, [&](std::int32_t node) { return reachable_[static_cast<std::size_t>(node)]; });
  });
}

// The module that reads a parameter of this one, which does not run: "`mixer`"; "" if none does.
std::string IdleModules::reader_of(const std::string& path) const {
  std::set<std::int32_t> own;
  for (const OwnedTensor& owned : owned_.of(path)) own.insert(owned.tensor);
  for (std::size_t i = 0; i < model_.graph.nodes.size(); ++i) {
    const Node& node = model_.graph.nodes[i];
    bool reads = false;
    for_each_read(node, [&](ValueId value) {
      reads = reads || own.contains(model_.graph.values[static_cast<std::size_t>(value)].tensor);
    });
    if (!reads || !reachable_[i]) continue;
    const ModuleId reader = node.module_stack.empty() ? 0 : node.module_stack.back();
    const std::string& name = model_.tree.at(reader).path;
    return name.empty() ? "the model" : "`" + name + "`";
  }
  return "";
}

}  // namespace tenon
