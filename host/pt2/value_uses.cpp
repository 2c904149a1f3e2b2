#include "pt2/value_uses.h"

#include <algorithm>

#include "graph/graph_walk.h"
#include "pt2/dtype_operators.h"

namespace tenon {
namespace {

std::size_t index_of(std::int32_t id) { return static_cast<std::size_t>(id); }

}  // namespace

ValueUses::ValueUses(const Graph& graph) : graph_(graph) {
  makers_.resize(graph.values.size(), -1);
  readers_.resize(graph.values.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const auto node = static_cast<std::int32_t>(i);
    for_each_read(graph.nodes[i], [&](ValueId id) { readers_[index_of(id)].push_back(node); });
    for_each_write(graph.nodes[i], [&](ValueId id) { makers_[index_of(id)] = node; });
  }
  for (const Argument& output : graph.outputs) {
    for_each_value(output, [&](ValueId id) { leaving_.insert(id); });
  }
  for (const auto& [target, value] : graph.mutations) {
    leaving_.insert(target);
    leaving_.insert(value);
  }
  for (const Node& node : graph.nodes) {
    if (writes_in_place(node)) written_.insert(root_of(first_value(node)));
  }
}

std::int32_t ValueUses::maker(ValueId id) const {
  return index_of(id) < makers_.size() ? makers_[index_of(id)] : -1;
}

ValueId ValueUses::root_of(ValueId id) const {
  while (id != kNoValue && maker(id) >= 0) {
    const Node& made_by = graph_.nodes[index_of(maker(id))];
    if (!writes_in_place(made_by) && dtype_rule(made_by) != DtypeRule::kView) break;
    id = first_value(made_by);
  }
  return id;
}

bool ValueUses::is_only_widened(ValueId id) const {
  if (leaving_.contains(id) || readers_[index_of(id)].empty()) return false;
  return std::ranges::all_of(readers_[index_of(id)], [&](std::int32_t reader) {
    const Node& reading = graph_.nodes[index_of(reader)];
    if (reading.target == "aten::_assert_tensor_metadata") return true;
    if (dtype_rule(reading) == DtypeRule::kCast) {
      const NamedArgument* asked = dtype_argument(reading);
      return asked != nullptr &&
             (asked_dtype(*asked) == at::kFloat || asked_dtype(*asked) == at::kDouble);
    }
    bool only = dtype_rule(reading) == DtypeRule::kView;
    for_each_write(reading, [&](ValueId result) { only = only && is_only_widened(result); });
    return only;
  });
}

}  // namespace tenon
