#include "plugin/handles.h"

namespace tenon {

LayerFacts::LayerFacts(Description description)
    : tenon_base{}, description_(std::move(description)) {
  infos_.reserve(description_.weights.size());
  for (const WeightFacts& weight : description_.weights) {
    tenon_weight_info info{};
    info.struct_size = sizeof info;
    if (weight.is_buffer) info.flags |= TENON_WEIGHT_IS_BUFFER;
    if (weight.is_target) info.flags |= TENON_WEIGHT_IS_TARGET;
    info.name = weight.name.c_str();
    info.shape = weight.shape.data();
    info.ndim = static_cast<std::uint32_t>(weight.shape.size());
    info.dtype = weight.dtype;
    infos_.push_back(info);
    info_pointers_.push_back(&infos_.back());
  }
  for (const auto& [name, value] : description_.attributes) {
    attribute_values_.emplace(name, to_value(value, views_));
  }
  struct_size = sizeof(tenon_base);
  n_weights = static_cast<std::uint32_t>(infos_.size());
  type = description_.type.c_str();
  module_path = description_.module_path.c_str();
  operator_name = description_.operator_name.c_str();
  weights = info_pointers_.data();
  n_inputs = description_.n_inputs;
  n_outputs = description_.n_outputs;
}

}  // namespace tenon
