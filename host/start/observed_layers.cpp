#include "start/observed_layers.h"

#include <algorithm>

namespace tenon {

// Everything that the view points to stays here.
struct ObservedLayers::Layer {
  Layer(const ModelData& model, const PlannedLayer& planned_layer)
      : planned(&planned_layer),
        weights(tensors_of(model, planned_layer)),
        handles(handles_of(weights)),
        type(planned_layer.layer_type->id()),
        setup{*planned_layer.options, planned_layer.parameters, {}} {
    view.struct_size = sizeof view;
    view.n_weights = static_cast<std::uint32_t>(weights.size());
    view.base = planned->facts.get();
    view.setup = &setup;
    view.layer_type = type.c_str();
    view.weights = handles.data();
    view.scaling = planned->scaling;
  }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  static std::vector<at::Tensor> tensors_of(const ModelData& model, const PlannedLayer& planned) {
    std::vector<at::Tensor> tensors;
    for (const std::int32_t number : planned.tensors) {
      tensors.push_back(model.tensors[static_cast<std::size_t>(number)].tensor.detach());
    }
    return tensors;
  }

  const PlannedLayer* planned;
  std::vector<at::Tensor> weights;
  std::vector<tenon_tensor> handles;
  std::string type;
  tenon_setup setup;
  tenon_data_layer view{};
};

ObservedLayers::ObservedLayers(const ModelData& model, const InjectionPlan& plan,
                               std::int64_t batches_per_epoch)
    : setup_{plan.config.method_keys, {}, {}} {
  for (const PlannedLayer& planned : plan.layers) {
    if (planned.layer_type->method() != plan.config.method) continue;
    numbers_.emplace(planned.facts->description().module_path,
                     static_cast<std::int64_t>(layers_.size()));
    layers_.push_back(std::make_unique<Layer>(model, planned));
  }
  for (const auto& layer : layers_) views_.push_back(&layer->view);
  run_.struct_size = sizeof run_;
  run_.n_layers = static_cast<std::uint32_t>(views_.size());
  run_.layers = views_.data();
  run_.setup = &setup_;
  run_.batches_per_epoch = batches_per_epoch;
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.kind != ValueKind::kParameter) continue;
    for (const std::int64_t size : tensor.tensor.sizes()) {
      run_.largest_size = std::max(run_.largest_size, size);
    }
  }
}

ObservedLayers::~ObservedLayers() = default;

const PlannedLayer& ObservedLayers::planned(std::size_t i) const { return *layers_[i]->planned; }

const std::string& ObservedLayers::path(std::size_t i) const {
  return planned(i).facts->description().module_path;
}

const std::vector<at::Tensor>& ObservedLayers::weights(std::size_t i) const {
  return layers_[i]->weights;
}

std::int64_t ObservedLayers::find(const std::string& path) const {
  const auto found = numbers_.find(path);
  return found == numbers_.end() ? -1 : found->second;
}

}  // namespace tenon
