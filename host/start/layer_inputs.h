#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>

#include "inject/adapted_model.h"
#include "train/batches.h"

namespace tenon {

// Gets the path of a layer and the tensor that it is called on, once for each call.
using InputObserver = std::function<void(const std::string& path, const at::Tensor& input)>;

// Runs the base on a batch, in eval mode and without gradients, and shows `observer` the inputs of
// the layers that adapters of `model` are on; the adapters themselves do not run.
void observe_inputs(const AdaptedModel& model, const Batch& batch, const InputObserver& observer);

// Which positions of a batch's tensors (batch, length, ...) count: (batch, length), or undefined
// where all do.
//
// Padding does not, by the model's input `attention_mask`; with `unlabelled`, neither do positions
// whose target has that value (PEFT: prepare_model_inputs_fn_language_modeling).
at::Tensor used_positions(const std::vector<InputSpec>& inputs, const Batch& batch,
                          std::optional<std::int64_t> unlabelled);

// A layer's input as (rows, features): its used positions, or all where the positions are not this
// input's.
at::Tensor used_rows(const at::Tensor& input, const at::Tensor& positions);

}  // namespace tenon
