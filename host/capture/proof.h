#pragma once

#include <vector>

#include "capture/module_state.h"
#include "graph/graph.h"

namespace tenon {

// Runs the module and its graph on the same inputs, in evaluation and, if `with_training`, in
// training, and compares outputs bit for bit, and gradients. Throws Error{kModel} if they differ.
void prove(const ModelData& data, const CallableModel& model, const std::vector<at::Tensor>& inputs,
           ModuleState& state, bool with_training);

}  // namespace tenon
