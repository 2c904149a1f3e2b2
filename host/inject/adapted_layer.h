#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "inject/adapter_start.h"
#include "inject/injection_plan.h"
#include "model/interpreter.h"

namespace tenon {

// The base of one call of a layer, ready to run alone.
struct RegionProgram {
  Program program;
  std::size_t n_inputs = 0;
  // For each tensor of the region: its number among the layer's weights, or -1 with `fixed` set.
  std::vector<std::int32_t> weight_numbers;
  std::vector<at::Tensor> fixed;
};

// A layer with an adapter on it. Immutable but for the values of its tensors; callable from several
// threads.
class AdaptedLayer {
 public:
  // `weights`: the base's, in the order of the facts.
  AdaptedLayer(const LayerType& layer_type, std::shared_ptr<const LayerFacts> facts,
               std::vector<at::Tensor> weights, AdapterStart start, std::string adapter_name,
               double scaling, double dropout);
  AdaptedLayer(const AdaptedLayer&) = delete;
  AdaptedLayer& operator=(const AdaptedLayer&) = delete;

  const std::vector<at::Tensor>& parameters() const { return start_.parameters; }
  const std::vector<at::Tensor>& weights() const { return weights_; }

  // One call: `values` are the region's inputs, then its numbers.
  std::vector<c10::IValue> run(const RegionProgram& region, std::vector<c10::IValue> values,
                               const RunMode& mode) const;

 private:
  std::vector<at::Tensor> run_merged(const tenon_call& call) const;

  const LayerType* layer_type_;
  std::shared_ptr<const LayerFacts> facts_;
  std::vector<at::Tensor> weights_;
  AdapterStart start_;
  std::string adapter_name_;
  std::vector<tenon_tensor> weight_handles_;
  std::vector<tenon_tensor> parameter_handles_;
  tenon_adapter adapter_{};
  const tenon_adapter* adapters_[1];
};

}  // namespace tenon
