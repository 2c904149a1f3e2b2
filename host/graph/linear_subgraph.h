#pragma once

#include "graph/subgraph.h"

namespace tenon {

// Whether a subgraph computes what aten::linear computes on the subgraph's input and tensors,
// whatever it is made of: C++ models and decomposed programs show torch.nn.Linear as `t, addmm` on
// two dimensions and as `t, matmul, add_` on others; a class may write `x @ self.weight.T +
// self.bias`.
bool is_linear(const ModelData& model, const Subgraph& subgraph);

}  // namespace tenon
