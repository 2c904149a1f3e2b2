#include "capture/value_table.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>

namespace tenon {
namespace {

const void* storage_of(const at::Tensor& tensor) {
  return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

bool same_view(const at::Tensor& one, const at::Tensor& other) {
  return one.scalar_type() == other.scalar_type() && one.sizes() == other.sizes() &&
         one.strides() == other.strides() && one.storage_offset() == other.storage_offset() &&
         one.is_conj() == other.is_conj() && one.is_neg() == other.is_neg();
}

}  // namespace

bool made_by_custom_function(const at::Tensor& tensor) {
  if (!tensor.requires_grad()) return false;
  const auto& made_by = tensor.grad_fn();
  return made_by != nullptr && made_by->name().find("CppNode<") != std::string::npos;
}

ValueTable::ValueTable(Recording& recording, const std::vector<ModelTensor>& tensors)
    : recording_(recording) {
  recording.model_tensor_count = tensors.size();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    add({tensors[i].name, tensors[i].kind, static_cast<std::int32_t>(i), false}, tensors[i].tensor);
  }
}

ValueId ValueTable::add(Value value, const at::Tensor& tensor) {
  const auto object = by_object_.find(tensor.unsafeGetTensorImpl());
  recording_.given_back.push_back(object == by_object_.end() ? kNoValue : object->second);
  const auto id = static_cast<ValueId>(recording_.graph.values.size());
  recording_.graph.values.push_back(std::move(value));
  recording_.sizes.push_back(tensor.sizes().vec());
  recording_.numbers.emplace_back();
  requires_grad_.push_back(tensor.requires_grad());
  has_custom_history_.push_back(made_by_custom_function(tensor));
  bind(tensor, id);
  return id;
}

ValueId ValueTable::add_input(const at::Tensor& tensor, std::string name) {
  return add({std::move(name), ValueKind::kInput, -1, false}, tensor);
}

ValueId ValueTable::add_result(const at::Tensor& tensor) {
  const std::string name = "v" + std::to_string(recording_.graph.values.size());
  return add({name, ValueKind::kIntermediate, -1, false}, tensor);
}

ValueId ValueTable::add_number(c10::IValue number) {
  const auto id = static_cast<ValueId>(recording_.graph.values.size());
  recording_.graph.values.push_back({"n" + std::to_string(id), ValueKind::kIntermediate, -1, true});
  recording_.sizes.emplace_back();
  recording_.numbers.emplace_back(std::move(number));
  recording_.given_back.push_back(kNoValue);
  requires_grad_.push_back(false);
  has_custom_history_.push_back(false);
  return id;
}

ValueId ValueTable::add_constant(const at::Tensor& tensor) {
  const bool written_here = is_unwritten(tensor);
  const auto index = recording_.model_tensor_count + recording_.constants.size();
  // What the model keeps is shared with it; what it wrote in this run is kept as it is now.
  recording_.constants.push_back({written_here ? tensor.detach().clone() : tensor.detach(),
                                  written_here ? nullptr : storage_of(tensor)});
  return add({"constant_" + std::to_string(recording_.constants.size() - 1), ValueKind::kConstant,
              static_cast<std::int32_t>(index), false},
             tensor);
}

void ValueTable::bind(const at::Tensor& tensor, ValueId value) {
  alive_.push_back(tensor);
  by_object_[tensor.unsafeGetTensorImpl()] = value;
  // A copy of the tensor as it is now: the object itself may take another shape later.
  if (tensor.has_storage()) {
    by_storage_[storage_of(tensor)].emplace_back(
        tensor.unsafeGetTensorImpl()->shallow_copy_and_detach(
            /*version_counter=*/0,
            /*allow_tensor_metadata_change=*/true),
        value);
  }
}

std::optional<ValueId> ValueTable::find(const at::Tensor& tensor) const {
  const auto object = by_object_.find(tensor.unsafeGetTensorImpl());
  if (object != by_object_.end()) return object->second;
  const auto storage = by_storage_.find(storage_of(tensor));
  if (!tensor.has_storage() || storage == by_storage_.end()) return std::nullopt;
  for (auto view = storage->second.rbegin(); view != storage->second.rend(); ++view) {
    if (same_view(view->first, tensor)) return view->second;
  }
  return std::nullopt;
}

bool ValueTable::is_known_object(const at::Tensor& tensor) const {
  return by_object_.contains(tensor.unsafeGetTensorImpl());
}

bool ValueTable::knows_storage(const at::Tensor& tensor) const {
  return tensor.has_storage() && by_storage_.contains(storage_of(tensor));
}

void ValueTable::mark_unwritten(const at::Tensor& tensor) {
  if (tensor.has_storage() && tensor.numel() > 0) unwritten_.insert(storage_of(tensor));
}

void ValueTable::mark_written(const at::Tensor& tensor) {
  unwritten_.erase(storage_of(tensor));
  written_in_place_.insert(storage_of(tensor));
}

bool ValueTable::is_unwritten(const at::Tensor& tensor) const {
  return unwritten_.contains(storage_of(tensor));
}

bool ValueTable::history_changed(const at::Tensor& tensor, ValueId value) const {
  if (!made_by_custom_function(tensor)) return false;
  return !is_known_object(tensor) || (!has_custom_history_[static_cast<std::size_t>(value)] &&
                                      !written_in_place_.contains(storage_of(tensor)));
}

bool ValueTable::had_gradient(ValueId value) const {
  return requires_grad_[static_cast<std::size_t>(value)];
}

}  // namespace tenon
