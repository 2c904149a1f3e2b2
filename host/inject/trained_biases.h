#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "inject/adapter_instance.h"

namespace tenon {

// A bias of the base that an adapter trains (PEFT's bias = "all" and "<method>_only"): the adapter
// has its own, which runs wherever the base's would. Without the adapter the base is what it was.
struct TrainedBias {
  std::int32_t tensor = -1;       // of ModelData::tensors
  std::vector<std::string> keys;  // as on disk, one for each tied name: "seq.0.base_layer.bias"
  at::Tensor copy;
};

// Those that the config asks for, but for those of modules that are saved whole. Throws
// Error{kInjection} if there is none.
std::vector<TrainedBias> copy_biases(const ModelData& model, const InjectionPlan& plan);

// By the numbers of `tensors`, undefined where none is trained; empty if none is at all.
std::vector<at::Tensor> biases_among(const std::vector<TrainedBias>& biases,
                                     const std::vector<std::int32_t>& tensors);

// Where they run outside the layers that the plan adapts and the modules that it saves whole.
std::vector<CallSite> bias_sites(const ModelData& model, const InjectionPlan& plan,
                                 const std::vector<TrainedBias>& biases);

}  // namespace tenon
