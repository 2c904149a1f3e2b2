#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "adapted/adapted_layer.h"

namespace tenon {

// What every layer runs where all rows of the batch run alike. Does not change once a forward has
// it.
class ActiveLayers : public LayerRunner {
 public:
  explicit ActiveLayers(std::size_t n_modules) : choices_(n_modules) {}

  void set(const AdaptedLayer& layer, LayerChoice choice) {
    choices_[static_cast<std::size_t>(layer.module())] =
        std::make_unique<const LayerChoice>(std::move(choice));
  }

  const LayerChoice* choice(const AdaptedLayer& layer) const override {
    return choices_[static_cast<std::size_t>(layer.module())].get();
  }
  std::vector<c10::IValue> run(const AdaptedLayer& layer, const SubgraphProgram& subgraph,
                               const std::vector<c10::IValue>& values,
                               const RunMode& mode) const override {
    return LayerRun(*choice(layer), subgraph, values, mode).outputs();
  }

 private:
  std::vector<std::unique_ptr<const LayerChoice>> choices_;  // by module
};

}  // namespace tenon
