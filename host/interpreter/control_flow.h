#pragma once

#include <memory>
#include <vector>

#include "graph/graph.h"
#include "interpreter/instructions.h"
#include "interpreter/interpreter.h"

// Branches and loops of the graph: torch.cond, while_loop, map and scan. Gradients are those of the
// operators that ran.
namespace tenon {

enum class ControlFlowKind { kCondition, kWhileLoop, kMap, kScan };

// Such a node, taken apart.
struct ControlFlow {
  ControlFlowKind kind = ControlFlowKind::kCondition;
  std::vector<std::shared_ptr<Graph>> graphs;  // if and else; test and body; body
  // Condition: the predicate; what both branches take. While loop: what it carries; what it only
  // reads. Map: what it takes row by row; what it only reads. Scan: what it carries; what it takes
  // row by row; what it only reads.
  std::vector<std::vector<Argument>> operands;
};

// Throws std::invalid_argument with the reason, to stand behind the operator's name.
ControlFlow read_control_flow(const Node& node);

std::unique_ptr<Instruction> make_control_flow(ControlFlowKind kind, std::vector<Program> programs,
                                               std::vector<std::vector<Operand>> operands,
                                               std::vector<ResultSlots> results);

}  // namespace tenon
