#include "inject/reachability.h"

namespace tenon {
namespace {

void mark(const Argument& argument, std::vector<bool>& needed) {
  if (const auto* id = std::get_if<ValueId>(&argument.value)) {
    needed[static_cast<std::size_t>(*id)] = true;
  }
  if (const auto* list = std::get_if<Argument::List>(&argument.value)) {
    for (const Argument& item : list->items) mark(item, needed);
  }
}

// An operator that writes into its argument ("add_", "copy_") matters to whoever reads that later.
bool writes_in_place(const Node& node) { return node.target.ends_with('_'); }

bool any_needed(const Node& node, const std::vector<bool>& needed) {
  for (const Result& result : node.results) {
    for (const ValueId id : result.values) {
      if (id != kNoValue && needed[static_cast<std::size_t>(id)]) return true;
    }
  }
  return false;
}

}  // namespace

std::vector<bool> reachable_nodes(const Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  for (const Argument& output : graph.outputs) mark(output, needed);
  for (const auto& [target, source] : graph.mutations) {
    needed[static_cast<std::size_t>(source)] = true;
  }
  std::vector<bool> reachable(graph.nodes.size(), false);
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    if (!writes_in_place(node) && !any_needed(node, needed)) continue;
    reachable[i] = true;
    for (const NamedArgument& argument : node.arguments) mark(argument.value, needed);
  }
  return reachable;
}

}  // namespace tenon
