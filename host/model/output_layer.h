#pragma once

#include "graph/graph.h"

namespace tenon {

// The module that computes the model's first output as one product with a weight: lm_head, a
// classifier. Views, casts, elementwise functions and a bias of the model's own may follow it.
// kNoModule if there is none.
ModuleId output_layer(const ModelData& model);

}  // namespace tenon
