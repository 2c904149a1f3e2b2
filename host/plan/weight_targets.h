#pragma once

#include <string>
#include <vector>

#include "plan/injection_plan.h"

// Adapters of single weights, PEFT's target_parameters. A layer type says which weights it adapts
// by the names of its parameters: "weight_ih_l0.ia3_l" is ia3_l of `weight_ih_l0`. In a
// file PEFT's names tell no weight: it wraps the module once for each of n weights, the first in
// the model's order innermost, so that the k-th has "base_layer." n - 1 - k times before its own
// name.
namespace tenon {

// The type that such layers are dispatched and recorded by.
constexpr const char* kParameterType = "torch.nn.Parameter";

// The parameters to adapt of one module.
struct ParameterTargets {
  std::string module;
  std::vector<std::string> names;  // in the model's order
};

// By module in the model's order. `names`: full names of parameters.
std::vector<ParameterTargets> by_module(const ModelData& model,
                                        const std::vector<std::string>& names);

// Full names of the model's parameters, aliases included, in the model's order.
std::vector<std::string> parameter_names(const ModelData& model);

// The weights that a layer's parameters are named after, in the base's order; empty if not every
// parameter is.
std::vector<std::string> adapted_weights(const LayerFacts& facts,
                                         const std::vector<ParameterSpec>& parameters);

// Sets ParameterSpec::file_name of each.
void name_in_file(const LayerFacts& facts, std::vector<ParameterSpec>& parameters);

// The config that PEFT reads for these layers: adapted weights are named in target_parameters, and
// their layers left out of target_modules, whatever rule of the user's took them.
AdapterConfig config_in_file(const AdapterConfig& config, const Method& method,
                             const std::vector<PlannedLayer>& layers);

}  // namespace tenon
