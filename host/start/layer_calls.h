#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "data/batches.h"

namespace tenon {

// Gets the path of a layer, the tensors that it is called on and what it gives, for each call.
using CallObserver =
    std::function<void(const std::string& path, std::span<const c10::IValue> inputs,
                       std::span<const c10::IValue> outputs)>;

// Runs the base on a batch, in eval mode and without gradients, and shows `observer` the calls of
// the layers that adapters of `model` are on; the adapters themselves do not run.
void observe_calls(const AdaptedModel& model, const Batch& batch, const CallObserver& observer);

// One call of a layer, with the gradient of a loss in each of its outputs; undefined where the loss
// does not depend on one.
struct RecordedCall {
  std::string path;
  std::vector<at::Tensor> inputs;
  std::vector<at::Tensor> outputs;
  std::vector<at::Tensor> gradients;
};
using LossOfOutputs = std::function<at::Tensor(const std::vector<at::Tensor>& outputs)>;

// Likewise, in the order of the calls; of what `loss_of` makes of the model's outputs. Throws
// Error{kTraining} where that depends on none of the layers.
std::vector<RecordedCall> record_calls(const AdaptedModel& model, const Batch& batch,
                                       const LossOfOutputs& loss_of);

// Which positions of a batch's tensors (batch, length, ...) count by the model's input
// `attention_mask`: (batch, length), or undefined where all do.
at::Tensor used_positions(const std::vector<InputSpec>& inputs, const Batch& batch);

}  // namespace tenon
