#pragma once

#include "model/region.h"

namespace tenon {

// Whether a region computes what aten::linear computes on the region's input and tensors, whatever
// it is made of: C++ models and decomposed programs show torch.nn.Linear as `t, addmm` on two
// dimensions and as `t, matmul, add_` on others; a class may write `x @ self.weight.T + self.bias`.
bool is_linear(const ModelData& model, const Region& region);

}  // namespace tenon
