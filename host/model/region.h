#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/graph.h"

namespace tenon {

// The nodes that one call of a module runs, as a function: tensors and numbers in, tensors out.
struct Region {
  ModuleId module = kNoModule;
  std::vector<std::int32_t> nodes;    // of Graph::nodes, ascending
  std::vector<ValueId> inputs;        // tensors from outside, in operator-and-argument order
  std::vector<ValueId> numbers;       // sizes from outside: bound in the call
  std::vector<ValueId> outputs;       // values that operators outside, or the model, use
  std::vector<std::int32_t> tensors;  // of ModelData::tensors that it reads, in order of first use
};

// The calls of a module in the order they run; empty if its code never runs.
std::vector<Region> find_regions(const ModelData& model, ModuleId module);

// Whether the module runs only inside a nested graph (gradients switched off there).
bool runs_only_nested(const ModelData& model, ModuleId module);

// "aten::linear" if the region is exactly one operator on the region's inputs and tensors.
std::string single_operator(const ModelData& model, const Region& region);

// The constant arguments of the operator in the region that first uses one of its tensors.
std::map<std::string, c10::IValue> operator_attributes(const ModelData& model,
                                                       const Region& region);

// The region as a graph of its own: inputs are the region's inputs, then its tensors, then its
// numbers; outputs the region's outputs.
Graph region_graph(const ModelData& model, const Region& region);

}  // namespace tenon
