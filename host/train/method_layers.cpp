#include "train/method_layers.h"

#include <string>
#include <utility>

namespace tenon {

// Everything that the view points to stays here.
struct MethodLayers::Layer {
  Layer(const PlannedLayer& planned_layer, std::shared_ptr<const LayerAdapter> its_slot)
      : planned(&planned_layer),
        layer_adapter(std::move(its_slot)),
        table(&layer_adapter->table()),
        parameters(layer_adapter->parameters()),
        gradients(parameters.size()),
        handles(handles_of(parameters)),
        gradient_handles(parameters.size()),
        type(planned_layer.layer_type->id()),
        setup{*planned_layer.options, planned_layer.parameters, {}} {
    for (const ParameterSpec& spec : planned->parameters) names.push_back(spec.name.c_str());
    view.struct_size = sizeof view;
    view.n_params = static_cast<std::uint32_t>(parameters.size());
    view.base = planned->facts.get();
    view.setup = &setup;
    view.layer_type = type.c_str();
    view.names = names.data();
    view.params = handles.data();
    view.gradients = gradient_handles.data();
    view.state = table->state;
  }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  void refresh(bool with_gradients) {
    view.scaling = table->scaling;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      gradients[i] = with_gradients ? parameters[i].grad() : at::Tensor();
      gradient_handles[i] = gradients[i].defined() ? to_handle(gradients[i]) : nullptr;
    }
  }

  const PlannedLayer* planned;
  std::shared_ptr<const LayerAdapter> layer_adapter;
  const tenon_adapter* table;
  std::vector<at::Tensor> parameters;
  std::vector<at::Tensor> gradients;
  std::vector<tenon_tensor> handles;
  std::vector<tenon_tensor> gradient_handles;
  std::vector<const char*> names;
  std::string type;
  tenon_setup setup;
  tenon_training_layer view{};
};

MethodLayers::MethodLayers(const AdapterInstance& adapter) {
  for (const PlannedLayer& planned : adapter.layers) {
    if (planned.layer_type->method() != adapter.config.method) continue;
    for (const PlacedLayerAdapter& placed : adapter.layer_adapters) {
      const bool is_its = placed.layer_adapter->layer_type() != nullptr &&
                          &placed.layer_adapter->facts() == planned.facts.get();
      if (is_its) layers_.push_back(std::make_unique<Layer>(planned, placed.layer_adapter));
    }
  }
  for (const auto& layer : layers_) views_.push_back(&layer->view);
}

MethodLayers::~MethodLayers() = default;

void MethodLayers::refresh(bool with_gradients) {
  for (const auto& layer : layers_) layer->refresh(with_gradients);
}

const PlannedLayer& MethodLayers::planned(std::size_t i) const { return *layers_[i]->planned; }

const std::vector<at::Tensor>& MethodLayers::parameters(std::size_t i) const {
  return layers_[i]->parameters;
}

}  // namespace tenon
