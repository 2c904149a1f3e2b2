#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "graph/graph.h"

namespace tenon {

// Where operators read the model's tensors, as planning and merging both count it: those operators
// only that the program's outputs depend on. (Assertions about a tensor read nothing of it.)
// By (number of the node, place among its reads), the tensor of ModelData::tensors.
using TensorReads = std::map<std::pair<std::int32_t, std::int32_t>, std::int32_t>;
TensorReads tensor_reads(const Graph& graph);

// The nodes that read each tensor.
std::map<std::int32_t, std::set<std::int32_t>> readers_by_tensor(const Graph& graph);

}  // namespace tenon
