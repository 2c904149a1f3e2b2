#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <variant>

#include "graph/graph.h"

// Walks over what nodes read and write, lists included; nested graphs are left out, since their
// values are their own.
namespace tenon {

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// `visit(ValueId)` for a const argument; `visit(ValueId&)`, which may rename, for a mutable one.
template <typename AnyArgument, typename Visit>
void for_each_value(AnyArgument& argument, const Visit& visit) {
  if (auto* id = std::get_if<ValueId>(&argument.value)) visit(*id);
  if (auto* list = std::get_if<Argument::List>(&argument.value)) {
    for (auto& item : list->items) for_each_value(item, visit);
  }
}

template <typename AnyNode, typename Visit>
void for_each_read(AnyNode& node, const Visit& visit) {
  for (auto& argument : node.arguments) for_each_value(argument.value, visit);
}

template <typename AnyNode, typename Visit>
void for_each_write(AnyNode& node, const Visit& visit) {
  for (auto& result : node.results) {
    for (auto& id : result.values) {
      if (id != kNoValue) visit(id);
    }
  }
}

// An operator that writes into an argument ("add_", "copy_"): it matters to whoever reads that
// later.
inline bool writes_in_place(const Node& node) { return node.target.ends_with('_'); }

}  // namespace tenon
