#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "inject/injection_plan.h"

namespace tenon {

// What one adapter brings to one layer.
struct AdapterStart {
  std::vector<at::Tensor> parameters;  // in the plugin's order
  // Weights that the base has under this adapter, by their number, in place of the model's own.
  std::vector<std::pair<std::uint32_t, at::Tensor>> residuals;
  std::shared_ptr<void> state;  // the plugin's own
};

// The tensors that the layers of one adapter share, by key.
using SharedTensors = std::map<std::string, at::Tensor>;

// Allocates the parameters of a planned layer, starts them as declared, and lets the plugin prepare
// its state and start what depends on the base. `weights`: the base's, in the order of the facts.
// A shared parameter is taken from `shared`, or made and put there by the first layer that has it.
AdapterStart start_adapter(const PlannedLayer& planned, const std::vector<at::Tensor>& weights,
                           const at::Generator& generator, SharedTensors& shared);

}  // namespace tenon
