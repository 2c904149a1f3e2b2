#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/callable_model.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// What one run of a forward did. In the graph every number is a constant as this run had it.
// Runs that do the same thing give every value the same id.
struct Recording {
  Graph graph;
  // By value, as far as it is known: its sizes when it was made, and a number's own value.
  std::vector<std::vector<std::int64_t>> sizes;
  std::vector<std::optional<c10::IValue>> numbers;
  // By value: the operator gave this tensor of its arguments itself (dropout in evaluation does),
  // so that whoever reads it later may mean either; kNoValue for all others.
  std::vector<ValueId> given_back;
  // Tensors that no operator made: Value::tensor counts on from the model's own.
  struct Constant {
    at::Tensor tensor;
    const void* storage = nullptr;  // where the model keeps it; nullptr if written in this run
  };
  std::vector<Constant> constants;
  std::size_t model_tensor_count = 0;
};

// Runs `forward` once under LibTorch's observer of operators. `tensors` are the model's own. Throws
// Error{kModel} for what no graph can show: custom autograd functions, tensors that come from
// nowhere. Exceptions of the forward pass through.
Recording record(const TensorFunction& forward, const std::vector<at::Tensor>& inputs,
                 const std::vector<ModelTensor>& tensors);

// "aten::add_.Tensor", as messages name an operator.
std::string operator_text(const Node& node);

}  // namespace tenon
