#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "interpreter/instructions.h"
#include "interpreter/operands.h"

namespace tenon {

// Turns the nodes of one graph into instructions; collects every problem on the way.
class GraphCompiler {
 public:
  GraphCompiler(const Graph& graph, const std::vector<ModelTensor>& tensors);

  const ValuePlaces& places() const { return places_; }
  void add_node(const Node& node);
  void add_replacement(Replacement& replacement);
  // Names `node` as that of the instructions since the last call.
  void end_node(std::int32_t node);
  // Throws Error{kModel} with all problems.
  std::vector<std::unique_ptr<Instruction>> finish();

 private:
  void add_problem(std::string problem) { problems_.insert(std::move(problem)); }
  void enter(ContextId context);
  bool merge_copy_onto_itself(const Node& node);
  void note_writing(const Node& node);
  void add_operator(const Node& node);
  Operand operand_for(const Node& node, const c10::Argument& declared) const;
  void add_symbolic(const Node& node);
  void add_control_flow(const Node& node);
  std::vector<Operand> untyped_operands(const std::vector<Argument>& arguments) const;

  const Graph& graph_;
  const std::vector<ModelTensor>& tensors_;
  ValuePlaces places_;
  std::vector<ValueId> written_;  // by value: what the operators in place that gave it began with
  ContextId context_ = 0;         // that the last instruction runs in
  std::vector<std::unique_ptr<Instruction>> instructions_;
  std::size_t named_ = 0;  // instructions that know their node
  std::set<std::string> problems_;
};

}  // namespace tenon
