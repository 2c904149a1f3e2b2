#pragma once

#include <vector>

#include "base/error.h"
#include "graph/graph.h"
#include "interpreter/node_failure.h"

namespace tenon {

// A forward that failed in one of LibTorch's operators, in the user's words: which operator of
// which layer, and which sizes are not those that the model was exported with.
Error forward_failure(const ModelData& model, const std::vector<at::Tensor>& inputs,
                      const NodeFailure& failure);

}  // namespace tenon
