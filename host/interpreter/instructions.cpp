#include "interpreter/instructions.h"

#include <c10/util/Exception.h>

#include <stdexcept>

namespace tenon {
namespace {

void store(std::int32_t slot, c10::IValue value, Frame& frame) {
  if (slot >= 0) frame.slots[static_cast<std::size_t>(slot)] = std::move(value);
}

}  // namespace

std::vector<Operand*> pointers(std::vector<Operand>& operands) {
  std::vector<Operand*> out;
  out.reserve(operands.size());
  for (Operand& operand : operands) out.push_back(&operand);
  return out;
}

std::vector<std::int32_t*> pointers(std::vector<ResultSlots>& results) {
  std::vector<std::int32_t*> out;
  for (ResultSlots& result : results) {
    for (std::int32_t& slot : result.slots) out.push_back(&slot);
  }
  return out;
}

std::vector<c10::IValue> read_all(const std::vector<Operand>& operands, Frame& frame) {
  std::vector<c10::IValue> values;
  values.reserve(operands.size());
  for (const Operand& operand : operands) values.push_back(operand.read(frame));
  return values;
}

void store_results(torch::jit::Stack& stack, const std::vector<ResultSlots>& results,
                   Frame& frame) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const ResultSlots& result = results[i];
    if (!result.is_list) {
      store(result.slots[0], std::move(stack[i]), frame);
      continue;
    }
    const auto items = stack[i].toListRef();
    TORCH_CHECK(items.size() >= result.slots.size(), "it gives ", items.size(), " tensors, not ",
                result.slots.size());
    for (std::size_t k = 0; k < result.slots.size(); ++k) store(result.slots[k], items[k], frame);
  }
  stack.clear();
}

OperatorInstruction::OperatorInstruction(c10::OperatorHandle handle, std::vector<Operand> operands,
                                         std::vector<ResultSlots> results,
                                         bool only_with_batch_norm)
    : handle_(std::move(handle)),
      operands_(std::move(operands)),
      results_(std::move(results)),
      only_with_batch_norm_(only_with_batch_norm) {}

void OperatorInstruction::run(Frame& frame) const {
  if (only_with_batch_norm_ && !(frame.mode.training && frame.mode.batch_norm_training)) return;
  read_operands(frame);
  call(frame);
  store(frame);
}

void OperatorInstruction::read_operands(Frame& frame) const {
  for (const Operand& operand : operands_) frame.stack.push_back(operand.read(frame));
}

void OperatorInstruction::call(Frame& frame) const { handle_.callBoxed(&frame.stack); }

void OperatorInstruction::store(Frame& frame) const { store_results(frame.stack, results_, frame); }

std::vector<Operand*> OperatorInstruction::operands() { return pointers(operands_); }
std::vector<std::int32_t*> OperatorInstruction::results() { return pointers(results_); }

SymbolicInstruction::SymbolicInstruction(SymbolicOperator op, std::vector<Operand> operands,
                                         std::int32_t result)
    : operator_(op), operands_(std::move(operands)), result_(result) {}

void SymbolicInstruction::run(Frame& frame) const {
  try {
    store(result_, operator_(read_all(operands_, frame)), frame);
  } catch (const std::logic_error& impossible) {  // a division by zero, a missing operand
    TORCH_CHECK(false, impossible.what());
  }
}

std::vector<Operand*> SymbolicInstruction::operands() { return pointers(operands_); }

ReplacementInstruction::ReplacementInstruction(Replacement::Function function,
                                               std::vector<Operand> operands,
                                               std::vector<std::int32_t> results)
    : function_(std::move(function)),
      operands_(std::move(operands)),
      results_(std::move(results)) {}

void ReplacementInstruction::run(Frame& frame) const {
  std::vector<c10::IValue> values = function_(read_all(operands_, frame), frame.mode);
  for (std::size_t i = 0; i < results_.size(); ++i) {
    store(results_[i], std::move(values[i]), frame);
  }
}

std::vector<Operand*> ReplacementInstruction::operands() { return pointers(operands_); }

std::vector<std::int32_t*> ReplacementInstruction::results() {
  std::vector<std::int32_t*> out;
  for (std::int32_t& slot : results_) out.push_back(&slot);
  return out;
}

}  // namespace tenon
