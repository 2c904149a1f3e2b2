#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "capture/recording.h"

namespace tenon {

// Made by a torch::autograd::Function, on its own or inside an operator that is registered.
bool made_by_custom_function(const at::Tensor& tensor);

// Tells which value of a recording a tensor is. Every tensor that was met stays alive, so that no
// address is ever used twice.
class ValueTable {
 public:
  ValueTable(Recording& recording, const std::vector<ModelTensor>& tensors);

  ValueId add_input(const at::Tensor& tensor, std::string name);
  ValueId add_result(const at::Tensor& tensor);
  ValueId add_number(c10::IValue number);
  // A constant that stands for the tensor from now on.
  ValueId add_constant(const at::Tensor& tensor);

  // By the tensor object; else by storage, offset, sizes, strides and dtype, because factories hand
  // over another object than the caller gets.
  std::optional<ValueId> find(const at::Tensor& tensor) const;
  bool is_known_object(const at::Tensor& tensor) const;
  // Whether a value lives in the tensor's storage, though not with this shape.
  bool knows_storage(const at::Tensor& tensor) const;
  // From now on the tensor object means this value.
  void bind(const at::Tensor& tensor, ValueId value);

  // Memory that was reserved and not yet written by any operator.
  void mark_unwritten(const at::Tensor& tensor);
  void mark_written(const at::Tensor& tensor);
  bool is_unwritten(const at::Tensor& tensor) const;

  // Whether a custom autograd function took the value's place in autograd's record.
  bool history_changed(const at::Tensor& tensor, ValueId value) const;
  bool had_gradient(ValueId value) const;

 private:
  ValueId add(Value value, const at::Tensor& tensor);

  Recording& recording_;
  std::vector<at::Tensor> alive_;
  std::unordered_map<const void*, ValueId> by_object_;
  std::unordered_map<const void*, std::vector<std::pair<at::Tensor, ValueId>>> by_storage_;
  std::unordered_set<const void*> unwritten_;
  std::unordered_set<const void*> written_in_place_;
  // By value, when it was made.
  std::vector<bool> requires_grad_;
  std::vector<bool> has_custom_history_;
};

}  // namespace tenon
