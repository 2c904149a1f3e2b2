#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// The nodes that one call of a module runs, as a function: tensors and numbers in, tensors out.
struct Subgraph {
  ModuleId module = kNoModule;
  std::vector<std::int32_t> nodes;    // of Graph::nodes, ascending
  std::vector<ValueId> inputs;        // tensors from outside, in operator-and-argument order
  std::vector<ValueId> numbers;       // sizes from outside: bound in the call
  std::vector<ValueId> outputs;       // values that operators outside, or the model, use
  std::vector<std::int32_t> tensors;  // of ModelData::tensors that it reads, in order of first use
};

// Finds modules' subgraphs. The graph is indexed once, so that finding one costs what the subgraph
// has, not what the model has. Borrows the model.
class SubgraphFinder {
 public:
  explicit SubgraphFinder(const ModelData& model);
  // The calls of a module in the order they run; empty if none of its nodes is in the main graph.
  std::vector<Subgraph> find(ModuleId module) const;
  // Some nodes of a module as a subgraph of their own.
  Subgraph subgraph_of(ModuleId module, std::vector<std::int32_t> nodes) const;
  // The operators of the module itself, not of modules inside it, that read any of the tensors:
  // each a subgraph of its own.
  std::vector<Subgraph> readers(ModuleId module, const std::vector<std::int32_t>& tensors) const;
  // Whether the module runs in a graph nested in the main one (a branch or a loop), or in the main
  // one itself.
  bool runs_nested(ModuleId module) const;
  // Whether the model's code switches gradients off around all of it.
  bool runs_without_gradients(const Subgraph& subgraph) const;

 private:
  void leave_out_sizes(std::vector<std::int32_t>& nodes) const;
  void find_borders(Subgraph& subgraph) const;
  bool comes_from_outside(std::int32_t tensor, ModuleId module) const;

  const Graph& graph_;
  const ModuleTree& tree_;
  const std::vector<ModelTensor>& tensors_;
  std::vector<std::vector<std::int32_t>> nodes_;    // by module
  std::vector<std::vector<std::int32_t>> readers_;  // by value
  std::vector<bool> kept_;                          // by value: an output, or written back
};

// "aten::linear" if the subgraph is exactly one operator on the subgraph's inputs and tensors.
std::string single_operator(const ModelData& model, const Subgraph& subgraph);

// The constant arguments, defaults included, of the operators in the subgraph that use its tensors;
// of several operators with an argument of one name, the first counts.
std::map<std::string, c10::IValue> operator_attributes(const ModelData& model,
                                                       const Subgraph& subgraph);

// The subgraph as a graph of its own: inputs are the subgraph's inputs, then its tensors, then its
// numbers; outputs the subgraph's outputs.
Graph subgraph_program(const ModelData& model, const Subgraph& subgraph);

}  // namespace tenon
