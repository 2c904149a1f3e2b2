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

// Finds modules' regions. The graph is indexed once, so that finding one costs what the region has,
// not what the model has. Borrows the model.
class RegionFinder {
 public:
  explicit RegionFinder(const ModelData& model);
  // The calls of a module in the order they run; empty if none of its nodes is in the main graph.
  std::vector<Region> find(ModuleId module) const;
  // Some nodes of a module as a region of their own.
  Region region_of(ModuleId module, std::vector<std::int32_t> nodes) const;
  // The operators of the module itself, not of modules inside it, that read any of the tensors:
  // each a region of its own.
  std::vector<Region> readers(ModuleId module, const std::vector<std::int32_t>& tensors) const;
  // Whether the module runs in a graph nested in the main one (a branch or a loop), or in the main
  // one itself.
  bool runs_nested(ModuleId module) const;
  // Whether the model's code switches gradients off around all of it.
  bool runs_without_gradients(const Region& region) const;

 private:
  void leave_out_sizes(std::vector<std::int32_t>& nodes) const;
  void find_borders(Region& region) const;
  bool comes_from_outside(std::int32_t tensor, ModuleId module) const;

  const Graph& graph_;
  const ModuleTree& tree_;
  const std::vector<ModelTensor>& tensors_;
  std::vector<std::vector<std::int32_t>> nodes_;    // by module
  std::vector<std::vector<std::int32_t>> readers_;  // by value
  std::vector<bool> kept_;                          // by value: an output, or written back
};

// "aten::linear" if the region is exactly one operator on the region's inputs and tensors.
std::string single_operator(const ModelData& model, const Region& region);

// The constant arguments, defaults included, of the operators in the region that use its tensors;
// of several operators with an argument of one name, the first counts.
std::map<std::string, c10::IValue> operator_attributes(const ModelData& model,
                                                       const Region& region);

// The region as a graph of its own: inputs are the region's inputs, then its tensors, then its
// numbers; outputs the region's outputs.
Graph region_graph(const ModelData& model, const Region& region);

}  // namespace tenon
