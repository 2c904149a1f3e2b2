#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/draft/training.h>

#include <memory>
#include <vector>

#include "inject/adapter_instance.h"

namespace tenon {

// The layers of an adapter as its method sees them while it is trained or saved. Borrows the
// adapter.
class MethodLayers {
 public:
  explicit MethodLayers(const AdapterInstance& adapter);
  ~MethodLayers();
  MethodLayers(const MethodLayers&) = delete;
  MethodLayers& operator=(const MethodLayers&) = delete;

  // Takes what changes between two calls: gradients, scalings.
  void refresh(bool with_gradients);

  const std::vector<const tenon_training_layer*>& views() const { return views_; }
  const PlannedLayer& planned(std::size_t i) const;
  const std::vector<at::Tensor>& parameters(std::size_t i) const;

 private:
  struct Layer;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<const tenon_training_layer*> views_;
};

}  // namespace tenon
