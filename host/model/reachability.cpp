#include "model/reachability.h"

#include "graph/graph_walk.h"

namespace tenon {
namespace {

bool any_needed(const Node& node, const std::vector<bool>& needed) {
  bool any = false;
  for_each_write(node, [&](ValueId id) { any = any || needed[static_cast<std::size_t>(id)]; });
  return any;
}

}  // namespace

std::vector<bool> reachable_nodes(const Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  const auto mark = [&](ValueId id) { needed[static_cast<std::size_t>(id)] = true; };
  for (const Argument& output : graph.outputs) for_each_value(output, mark);
  for (const auto& mutation : graph.mutations) mark(mutation.second);
  std::vector<bool> reachable(graph.nodes.size(), false);
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    if (!writes_in_place(node) && !any_needed(node, needed)) continue;
    reachable[i] = true;
    for_each_read(node, mark);
  }
  return reachable;
}

}  // namespace tenon
