#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"

namespace tenon {

// After a backward: each adapted layer, or module saved whole, that got no gradient, or one that is
// zero throughout, though the model's first output depends on it. One sentence for each operator at
// which gradients end. `run_first_output` is the model's forward without dropout on the rows that
// the gradient was computed on: where no operator explains it, the layer's parameters are changed,
// looked at, and put back.
std::vector<std::string> lost_gradients(const AdaptedModel& model,
                                        const std::function<at::Tensor()>& run_first_output);

}  // namespace tenon
