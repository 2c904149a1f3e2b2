#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plan/injection_plan.h"

namespace tenon {

// What one adapter brings to one layer.
struct AdapterInit {
  std::vector<at::Tensor> parameters;  // in the plugin's order
  // Weights that the base has under this adapter, by their number, in place of the model's own.
  std::vector<std::pair<std::uint32_t, at::Tensor>> residuals;
  std::shared_ptr<void> state;  // the plugin's own
};

// What a layer starts from in place of what its layer type makes: worked out from data.
struct GivenStart {
  std::map<std::string, at::Tensor> parameters;  // by the name in the file
  // Weights of the base under this adapter, as AdapterInit::residuals.
  std::vector<std::pair<std::uint32_t, at::Tensor>> residuals;
  // Its file is read next: what that holds starts as zeros, which costs less than random numbers.
  bool from_file = false;
};
using GivenStarts = std::map<std::string, GivenStart>;  // by the layer's path

// The tensors that the layers of one adapter share, by key.
using SharedTensors = std::map<std::string, at::Tensor>;

// Allocates the parameters of a planned layer, starts them as declared, and lets the plugin prepare
// its state and start what depends on the base. `weights`: the base's, in the order of the facts.
// A shared parameter is taken from `shared`, or made and put there by the first layer that has it.
// `tied`: by parameter, the tensors that are tied to another layer's, undefined for the layer's
// own; may be empty. They start again as this layer's would (PEFT: update_layer), for
// both. What `given` names starts from that. Throws Error{kInjection} where the layer type has no
// such parameter, or one of another shape.
AdapterInit start_adapter(const PlannedLayer& planned, const std::vector<at::Tensor>& weights,
                          const at::Generator& generator, SharedTensors& shared,
                          const std::vector<at::Tensor>& tied = {}, const GivenStart& given = {});

}  // namespace tenon
