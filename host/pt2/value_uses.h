#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// Which nodes make and read each value of a graph, as it is when this is made.
class ValueUses {
 public:
  explicit ValueUses(const Graph& graph);

  // The node that makes a value; -1 for inputs, the model's tensors and values made since.
  std::int32_t maker(ValueId id) const;
  // Where a value's numbers are: behind views of them and writes into them.
  ValueId root_of(ValueId id) const;
  // Whether something writes into a value's numbers.
  bool is_written(ValueId id) const { return written_.contains(root_of(id)); }
  // Whether nothing but casts to float32 and float64 reads it, directly or through views.
  bool is_only_widened(ValueId id) const;

 private:
  const Graph& graph_;
  std::vector<std::int32_t> makers_;
  std::vector<std::vector<std::int32_t>> readers_;
  std::set<ValueId> leaving_;  // outputs, and what is written back
  std::set<ValueId> written_;  // roots
};

}  // namespace tenon
