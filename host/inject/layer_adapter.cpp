#include "inject/layer_adapter.h"

#include <utility>

namespace tenon {

std::vector<tenon_tensor> handles_of(const std::vector<at::Tensor>& tensors) {
  std::vector<tenon_tensor> handles;
  handles.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) handles.push_back(to_handle(tensor));
  return handles;
}

LayerAdapter::LayerAdapter(Parts parts)
    : parts_(std::move(parts)), handles_(handles_of(parts_.parameters)) {
  table_.struct_size = sizeof table_;
  table_.n_params = static_cast<std::uint32_t>(handles_.size());
  table_.name = parts_.adapter.c_str();
  table_.params = handles_.data();
  table_.scaling = parts_.scaling;
  table_.state = parts_.state.get();
}

std::shared_ptr<const LayerAdapter> LayerAdapter::rescaled(double factor) const {
  auto layer_adapter = std::make_shared<LayerAdapter>(parts_);
  layer_adapter->table_.scaling = factor * parts_.scaling;
  return layer_adapter;
}

}  // namespace tenon
