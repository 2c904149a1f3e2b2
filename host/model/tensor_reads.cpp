#include "model/tensor_reads.h"

#include <vector>

#include "graph/graph_walk.h"
#include "model/reachability.h"

namespace tenon {

TensorReads tensor_reads(const Graph& graph) {
  const std::vector<bool> reachable = reachable_nodes(graph);
  TensorReads reads;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!reachable[i]) continue;
    std::int32_t place = 0;
    for_each_read(graph.nodes[i], [&](ValueId id) {
      const std::int32_t tensor = graph.values[static_cast<std::size_t>(id)].tensor;
      if (tensor >= 0) reads[{static_cast<std::int32_t>(i), place}] = tensor;
      ++place;
    });
  }
  return reads;
}

std::map<std::int32_t, std::set<std::int32_t>> readers_by_tensor(const Graph& graph) {
  std::map<std::int32_t, std::set<std::int32_t>> readers;
  for (const auto& [place, tensor] : tensor_reads(graph)) readers[tensor].insert(place.first);
  return readers;
}

}  // namespace tenon
