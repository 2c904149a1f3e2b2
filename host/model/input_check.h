#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "model/graph.h"

namespace tenon {

// Checks a forward's inputs against what the exporter recorded: number, dtype, number of
// dimensions, fixed sizes, sizes that must agree or follow from others, ranges, then `guards`.
// Throws Error{kModel} in the user's words, all problems at once. Checked before the first operator
// runs, because some of LibTorch's operators crash on shapes that they do not expect.
void check_inputs(const std::vector<InputSpec>& specs, const std::vector<at::Tensor>& inputs,
                  const std::vector<SizeExpression>& guards = {});

}  // namespace tenon
