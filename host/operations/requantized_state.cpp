#include "operations/requantized_state.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "model/packed_file.h"
#include "quantize/packed_tensor.h"

namespace tenon {
namespace {

double root_mean_square(const at::Tensor& tensor) {
  return tensor.square().mean(at::kDouble).sqrt().item<double>();
}

// By every name, the base's own packed tensors.
std::map<std::string, at::Tensor> packed_by_name(const AdaptedModel& model) {
  std::map<std::string, at::Tensor> packed;
  for (const ModelTensor& tensor : model.base_tensors()) {
    if (!is_packed(tensor.tensor)) continue;
    packed.emplace(tensor.name, tensor.tensor);
    for (const std::string& alias : tensor.aliases) packed.emplace(alias, tensor.tensor);
  }
  return packed;
}

void add_entries(NamedTensors& tensors, NamedTensors entries) {
  for (auto& entry : entries) tensors.push_back(std::move(entry));
}

}  // namespace

RequantizedState requantized_state(const AdaptedModel& model, const MergedModel& merged) {
  const at::NoGradGuard no_grad;
  const std::map<std::string, at::Tensor> packed = packed_by_name(model);
  RequantizedState state;
  for (auto& [name, tensor] : merged_state(model, merged)) {
    const auto base = packed.find(name);
    if (base == packed.end()) {
      state.tensors.emplace_back(name, tensor);
      continue;
    }
    const PackedWeight& own = *packed_view(base->second).weight;
    if (is_packed(tensor)) {
      add_entries(state.tensors, packed_entries(name, own, tensor.scalar_type()));
      continue;
    }
    const auto rounded = pack(tensor, own.format());
    const at::Tensor wide = tensor.to(at::kFloat);
    state.costs.push_back({name, std::string(name_of(own.format())),
                           root_mean_square(rounded->unpack(at::kFloat) - wide),
                           root_mean_square(wide - own.unpack(at::kFloat))});
    add_entries(state.tensors, packed_entries(name, *rounded, tensor.scalar_type()));
  }
  return state;
}

}  // namespace tenon
