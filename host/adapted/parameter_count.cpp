#include "adapted/parameter_count.h"

#include <array>
#include <cstdio>
#include <set>

namespace tenon {
namespace {

std::string with_commas(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (auto i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > 0; i -= 3) {
    digits.insert(static_cast<std::size_t>(i), ",");
  }
  return digits;
}

}  // namespace

ParameterCount count_parameters(const AdaptedModel& model) {
  ParameterCount count;
  std::set<const void*> counted;
  const auto add = [&](const at::Tensor& tensor, const void* identity) {
    if (!counted.insert(identity).second) return;
    count.all += tensor.numel();
    if (tensor.requires_grad()) count.trainable += tensor.numel();
  };
  for (const ModelTensor& tensor : model.base_tensors()) {
    if (tensor.kind == ValueKind::kParameter) {
      // Packed ones have no address of their numbers.
      add(tensor.tensor, tensor.tensor.has_storage() ? tensor.tensor.const_data_ptr()
                                                     : tensor.tensor.unsafeGetTensorImpl());
    }
  }
  for (const std::string& name : model.adapter_names()) {
    for (const AddedTensor& added : model.adapter(name).tensors) {
      if (!added.trainable) continue;
      if (added.replaces_base) count.all -= added.tensor.numel();
      add(added.tensor, added.tensor.unsafeGetTensorImpl());
    }
  }
  return count;
}

std::string trainable_line(const ParameterCount& count) {
  std::array<char, 32> percent{};
  const double share = count.all == 0 ? 0
                                      : 100.0 * static_cast<double>(count.trainable) /
                                            static_cast<double>(count.all);
  std::snprintf(percent.data(), percent.size(), "%.4f", share);
  return "trainable params: " + with_commas(count.trainable) +
         " || all params: " + with_commas(count.all) + " || trainable%: " + percent.data();
}

}  // namespace tenon
