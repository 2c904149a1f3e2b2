#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/contexts.h"
#include "graph/graph.h"
#include "interpreter/interpreter.h"

namespace tenon {

// The state of one run of a program.
struct Frame {
  std::vector<c10::IValue> slots;
  torch::jit::Stack stack;
  const RunMode& mode;
  ContextSwitch& contexts;
};

// A slot, or a fixed value. A slot read for the last time is moved out, so that its tensor is freed
// as soon as the operator is done with it.
struct Operand {
  enum class Kind {
    kConstant,
    kSlot,
    kLastUse,
    kList,                // built from `items` at each run
    kTraining,            // bool: the run's mode
    kBatchNormTraining,   // bool: the run's mode, while statistics are trained
    kDropoutProbability,  // `constant` while training, 0 otherwise
  };
  // How a number in a slot becomes what the schema wants.
  enum class Conversion { kNone, kToDouble, kToTensor };

  Kind kind = Kind::kConstant;
  Conversion conversion = Conversion::kNone;
  std::int32_t slot = -1;
  c10::IValue constant;
  std::vector<Operand> items;
  c10::TypePtr item_type;  // of a list

  c10::IValue read(Frame& frame) const;
};

// Where the values of a graph live while it runs: parameters, buffers and constants are fixed
// tensors, everything else has a slot.
struct ValuePlaces {
  std::vector<std::int32_t> slots;  // by ValueId; -1 for fixed ones
  std::vector<c10::IValue> fixed;   // by ValueId
};

// Turns a graph's argument into an operand for a schema's argument. Throws std::invalid_argument
// with the reason if it can never fit.
Operand make_operand(const Argument& argument, const c10::TypePtr& type, const ValuePlaces& places);

// An operand for which no schema exists (Python's operators on sizes, nested graphs).
Operand make_untyped_operand(const Argument& argument, const ValuePlaces& places);

// Calls `visit` for the operand and its items, depth first, in the order they are read.
void for_each_slot(Operand& operand, const std::function<void(Operand&)>& visit);

}  // namespace tenon
