#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <memory>
#include <string>
#include <vector>

#include "graph/contexts.h"
#include "graph/graph.h"
#include "interpreter/interpreter.h"
#include "interpreter/operands.h"
#include "interpreter/symbolic_operators.h"

namespace tenon {

// One step of a program.
class Instruction {
 public:
  virtual ~Instruction() = default;
  virtual void run(Frame& frame) const = 0;
  // In the order they are read, so that the last read of each slot can be found.
  virtual std::vector<Operand*> operands() = 0;
  // The slots that it writes; -1 where a result is not used.
  virtual std::vector<std::int32_t*> results() = 0;

  std::int32_t node = -1;  // of the graph, for messages
};

// Where results go: one slot a result, or the items of a list.
struct ResultSlots {
  bool is_list = false;
  std::vector<std::int32_t> slots;
};

std::vector<Operand*> pointers(std::vector<Operand>& operands);
std::vector<std::int32_t*> pointers(std::vector<ResultSlots>& results);
std::vector<c10::IValue> read_all(const std::vector<Operand>& operands, Frame& frame);

// Writes the stack's values to their slots and leaves it empty.
void store_results(torch::jit::Stack& stack, const std::vector<ResultSlots>& results, Frame& frame);

// An operator of LibTorch's dispatcher.
class OperatorInstruction : public Instruction {
 public:
  OperatorInstruction(c10::OperatorHandle handle, std::vector<Operand> operands,
                      std::vector<ResultSlots> results, bool only_with_batch_norm);
  void run(Frame& frame) const override;
  std::vector<Operand*> operands() override;
  std::vector<std::int32_t*> results() override;

 protected:
  // The parts of `run`: arguments to the stack, the operator on it, its results to their slots.
  void read_operands(Frame& frame) const;
  void call(Frame& frame) const;
  void store(Frame& frame) const;

 private:
  c10::OperatorHandle handle_;
  std::vector<Operand> operands_;
  std::vector<ResultSlots> results_;
  bool only_with_batch_norm_;  // counts batches: runs only while statistics are trained
};

// Arithmetic on sizes.
class SymbolicInstruction : public Instruction {
 public:
  SymbolicInstruction(SymbolicOperator op, std::vector<Operand> operands, std::int32_t result);
  void run(Frame& frame) const override;
  std::vector<Operand*> operands() override;
  std::vector<std::int32_t*> results() override { return {&result_}; }

 private:
  SymbolicOperator operator_;
  std::vector<Operand> operands_;
  std::int32_t result_;
};

// Switches to the context of the instructions behind it.
class ContextInstruction : public Instruction {
 public:
  explicit ContextInstruction(ContextSettings settings) : settings_(std::move(settings)) {}
  void run(Frame& frame) const override { frame.contexts.enter(settings_); }
  std::vector<Operand*> operands() override { return {}; }
  std::vector<std::int32_t*> results() override { return {}; }

 private:
  ContextSettings settings_;
};

// A Replacement: an adapted layer in place of its subgraph.
class ReplacementInstruction : public Instruction {
 public:
  ReplacementInstruction(Replacement::Function function, std::vector<Operand> operands,
                         std::vector<std::int32_t> results);
  void run(Frame& frame) const override;
  std::vector<Operand*> operands() override;
  std::vector<std::int32_t*> results() override;

 private:
  Replacement::Function function_;
  std::vector<Operand> operands_;
  std::vector<std::int32_t> results_;
};

}  // namespace tenon
