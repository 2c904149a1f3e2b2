#include "pt2/cast_nodes.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "pt2/dtype_operators.h"

namespace tenon {

ValueId CastNodes::cast(ValueId id, at::ScalarType dtype, std::int32_t reader) {
  const auto place = [](std::int32_t node) { return static_cast<std::size_t>(node); };
  if (uses_.is_written(id)) {
    return add_cast(id, dtype, graph_.nodes[place(reader)], before_[place(reader)]);
  }
  const auto [known, is_new] = made_.try_emplace({id, dtype}, kNoValue);
  if (is_new) {
    const std::int32_t maker = uses_.maker(id);
    known->second = maker < 0
                        ? cast_input(id, dtype)
                        : add_cast(id, dtype, graph_.nodes[place(maker)], after_[place(maker)]);
  }
  return known->second;
}

ValueId CastNodes::cast_in_range(ValueId id, at::ScalarType dtype, std::int32_t reader) {
  const auto place = static_cast<std::size_t>(reader);
  const double most = greatest_of(dtype);
  const ValueId clamped =
      add("aten::clamp", "",
          {{"self", {id}}, {"min", {c10::IValue(-most)}}, {"max", {c10::IValue(most)}}}, id,
          graph_.nodes[place], before_[place]);
  return add_cast(clamped, dtype, graph_.nodes[place], before_[place]);
}

ValueId CastNodes::cast_input(ValueId id, at::ScalarType dtype) {
  return add_cast(id, dtype, Node{}, front_);
}

ValueId CastNodes::add_cast(ValueId id, at::ScalarType dtype, const Node& where,
                            std::vector<Node>& nodes) {
  Argument wanted{c10::IValue(static_cast<std::int64_t>(dtype))};
  return add("aten::to", "dtype", {{"self", {id}}, {"dtype", std::move(wanted)}}, id, where, nodes);
}

ValueId CastNodes::add(const char* target, const char* overload,
                       std::vector<NamedArgument> arguments, ValueId from, const Node& where,
                       std::vector<Node>& nodes) {
  const auto made = static_cast<ValueId>(graph_.values.size());
  const std::string& name = graph_.values[static_cast<std::size_t>(from)].name;
  graph_.values.push_back({name + "_cast" + std::to_string(made), ValueKind::kIntermediate});
  Node added;
  added.target = target;
  added.overload = overload;
  added.arguments = std::move(arguments);
  added.results.push_back({false, {made}});
  added.module_stack = where.module_stack;
  added.call_index = where.call_index;
  added.context = where.context;
  nodes.push_back(std::move(added));
  return made;
}

void CastNodes::put_in() {
  std::vector<Node> nodes = std::move(front_);
  for (std::size_t i = 0; i < before_.size(); ++i) {
    std::ranges::move(before_[i], std::back_inserter(nodes));
    nodes.push_back(std::move(graph_.nodes[i]));
    std::ranges::move(after_[i], std::back_inserter(nodes));
  }
  graph_.nodes = std::move(nodes);
}

}  // namespace tenon
