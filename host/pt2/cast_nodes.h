#pragma once

#include <c10/core/ScalarType.h>

#include <map>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "pt2/value_uses.h"

namespace tenon {

// Casts to be put between the nodes of a graph.
class CastNodes {
 public:
  CastNodes(Graph& graph, const ValueUses& uses)
      : graph_(graph), uses_(uses), before_(graph.nodes.size()), after_(graph.nodes.size()) {}

  // A value in another dtype, for the node `reader`: cast where it is made, once for all; where it
  // is written to, in front of the reader.
  ValueId cast(ValueId id, at::ScalarType dtype, std::int32_t reader);
  // The same for one reader, no number but those that are infinite being beyond the dtype's range.
  ValueId cast_in_range(ValueId id, at::ScalarType dtype, std::int32_t reader);
  // In front of all nodes.
  ValueId cast_input(ValueId id, at::ScalarType dtype);

  // Puts the casts in; node numbers are others from then on.
  void put_in();

 private:
  ValueId add(const char* target, const char* overload, std::vector<NamedArgument> arguments,
              ValueId from, const Node& where, std::vector<Node>& nodes);
  ValueId add_cast(ValueId id, at::ScalarType dtype, const Node& where, std::vector<Node>& nodes);

  Graph& graph_;
  const ValueUses& uses_;
  std::map<std::pair<ValueId, at::ScalarType>, ValueId> made_;
  std::vector<Node> front_;
  std::vector<std::vector<Node>> before_;  // of each node
  std::vector<std::vector<Node>> after_;
};

}  // namespace tenon
