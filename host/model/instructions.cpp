#include "model/instructions.h"

#include <ATen/core/grad_mode.h>

namespace tenon {
namespace {

std::vector<Operand*> pointers(std::vector<Operand>& operands) {
  std::vector<Operand*> out;
  out.reserve(operands.size());
  for (Operand& operand : operands) out.push_back(&operand);
  return out;
}

std::vector<std::int32_t> all_slots(const std::vector<ResultSlots>& results) {
  std::vector<std::int32_t> slots;
  for (const ResultSlots& result : results) {
    slots.insert(slots.end(), result.slots.begin(), result.slots.end());
  }
  return slots;
}

void store(std::int32_t slot, c10::IValue value, Frame& frame) {
  if (slot >= 0) frame.slots[static_cast<std::size_t>(slot)] = std::move(value);
}

std::vector<c10::IValue> read_all(const std::vector<Operand>& operands, Frame& frame) {
  std::vector<c10::IValue> values;
  values.reserve(operands.size());
  for (const Operand& operand : operands) values.push_back(operand.read(frame));
  return values;
}

}  // namespace

void store_results(torch::jit::Stack& stack, const std::vector<ResultSlots>& results,
                   Frame& frame) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const ResultSlots& result = results[i];
    if (!result.is_list) {
      store(result.slots[0], std::move(stack[i]), frame);
      continue;
    }
    const auto items = stack[i].toListRef();
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
  for (const Operand& operand : operands_) frame.stack.push_back(operand.read(frame));
  handle_.callBoxed(&frame.stack);
  store_results(frame.stack, results_, frame);
}

std::vector<Operand*> OperatorInstruction::operands() { return pointers(operands_); }
std::vector<std::int32_t> OperatorInstruction::written_slots() const { return all_slots(results_); }

void WithoutGradientsInstruction::run(Frame& frame) const {
  const at::NoGradGuard no_grad;
  step_->run(frame);
}

SymbolicInstruction::SymbolicInstruction(SymbolicOperator op, std::vector<Operand> operands,
                                         std::int32_t result)
    : operator_(op), operands_(std::move(operands)), result_(result) {}

void SymbolicInstruction::run(Frame& frame) const {
  store(result_, operator_(read_all(operands_, frame)), frame);
}

std::vector<Operand*> SymbolicInstruction::operands() { return pointers(operands_); }

GradModeInstruction::GradModeInstruction(bool enabled, std::unique_ptr<Program> program,
                                         std::vector<Operand> operands,
                                         std::vector<ResultSlots> results)
    : enabled_(enabled),
      program_(std::move(program)),
      operands_(std::move(operands)),
      results_(std::move(results)) {}

void GradModeInstruction::run(Frame& frame) const {
  // A forward that records nothing (predict) stays so, whatever the exported code asks for.
  const at::AutoGradMode mode(enabled_ && at::GradMode::is_enabled());
  torch::jit::Stack values = program_->run(read_all(operands_, frame), frame.mode);
  store_results(values, results_, frame);
}

std::vector<Operand*> GradModeInstruction::operands() { return pointers(operands_); }
std::vector<std::int32_t> GradModeInstruction::written_slots() const { return all_slots(results_); }

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

}  // namespace tenon
