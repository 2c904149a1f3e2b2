#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <functional>
#include <vector>

namespace tenon {

// Some part of a model: what it is given may hold numbers beside tensors, and so may its results.
using Segment = std::function<std::vector<c10::IValue>(std::vector<c10::IValue>)>;

// Runs a segment and keeps only what it was given: its gradient runs it once more, with the same
// random numbers and under the same autocast (PyTorch: torch.utils.checkpoint). `parameters` are
// the tensors that require a gradient in it beside its inputs; `written` are what a forward writes
// by itself (running statistics), which the second run must leave as they are. Where no gradient is
// recorded it just runs. The gradient cannot be differentiated again.
std::vector<c10::IValue> run_checkpointed(Segment segment, std::vector<c10::IValue> values,
                                          std::vector<at::Tensor> parameters,
                                          std::vector<at::Tensor> written);

}  // namespace tenon
