#include "graph/subgraph_calls.h"

#include <algorithm>

#include "graph/graph_walk.h"

namespace tenon {
namespace {

// What a call reads and writes, in the order of its operators and their arguments.
struct Accesses {
  std::vector<ValueId> reads;
  std::vector<ValueId> writes;
};

Accesses accesses_of(const Graph& graph, const Subgraph& call) {
  Accesses accesses;
  for (const std::int32_t index : call.nodes) {
    const Node& node = graph.nodes[static_cast<std::size_t>(index)];
    for_each_read(node, [&](ValueId id) { accesses.reads.push_back(id); });
    for_each_write(node, [&](ValueId id) { accesses.writes.push_back(id); });
  }
  return accesses;
}

bool run_the_same(const Graph& graph, const Subgraph& one, const Subgraph& other) {
  return std::ranges::equal(one.nodes, other.nodes, [&](std::int32_t a, std::int32_t b) {
    const Node& x = graph.nodes[static_cast<std::size_t>(a)];
    const Node& y = graph.nodes[static_cast<std::size_t>(b)];
    return x.target == y.target && x.overload == y.overload;
  });
}

bool contains(const std::vector<ValueId>& values, ValueId id) {
  return std::ranges::find(values, id) != values.end();
}

// The first place of each value that comes from outside, by what all calls have there; nothing if
// one call takes from outside what another makes itself.
bool find_inputs(const std::vector<Subgraph>& calls, const std::vector<Accesses>& accesses,
                 std::vector<std::size_t>& places) {
  const auto is_same = [&](std::size_t one, std::size_t other) {
    return std::ranges::all_of(
        accesses, [&](const Accesses& each) { return each.reads[one] == each.reads[other]; });
  };
  for (std::size_t place = 0; place < accesses[0].reads.size(); ++place) {
    std::size_t outside = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (contains(calls[i].inputs, accesses[i].reads[place])) ++outside;
    }
    if (outside == 0) continue;
    if (outside < calls.size()) return false;
    if (std::ranges::none_of(places, [&](std::size_t known) { return is_same(known, place); })) {
      places.push_back(place);
    }
  }
  return true;
}

}  // namespace

void give_same_borders(const Graph& graph, std::vector<Subgraph>& calls) {
  if (calls.size() < 2) return;
  std::vector<Accesses> accesses;
  for (const Subgraph& call : calls) {
    accesses.push_back(accesses_of(graph, call));
    if (!run_the_same(graph, calls[0], call) ||
        accesses.back().reads.size() != accesses[0].reads.size() ||
        accesses.back().writes.size() != accesses[0].writes.size()) {
      return;
    }
  }
  std::vector<std::size_t> inputs;
  if (!find_inputs(calls, accesses, inputs)) return;
  std::vector<std::size_t> outputs;
  for (std::size_t place = 0; place < accesses[0].writes.size(); ++place) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (!contains(calls[i].outputs, accesses[i].writes[place])) continue;
      outputs.push_back(place);
      break;
    }
  }
  for (std::size_t i = 0; i < calls.size(); ++i) {
    calls[i].inputs.clear();
    calls[i].outputs.clear();
    for (const std::size_t place : inputs) calls[i].inputs.push_back(accesses[i].reads[place]);
    for (const std::size_t place : outputs) calls[i].outputs.push_back(accesses[i].writes[place]);
  }
}

}  // namespace tenon
