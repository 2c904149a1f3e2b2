#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// Checks a forward's inputs against what the exporter recorded: number, dtype, number of
// dimensions, fixed sizes, sizes that must agree or follow from others, ranges, then `guards`.
// Throws Error{kModel} in the user's words, all problems at once. Checked before the first operator
// runs, because some of LibTorch's operators crash on shapes that they do not expect.
// A whole number among the inputs is a tensor without dimensions, and `guards` may name it.
void check_inputs(const std::vector<InputSpec>& specs, const std::vector<at::Tensor>& inputs,
                  const std::vector<SizeExpression>& guards = {});

// "dimension 1 of `x` was fixed to 7 when this model was exported, and is 9; ...".
std::string fixed_size_text(const InputSpec& input, std::size_t dimension, std::int64_t size);

// "dimension 1 of `x` is 9, ...": the sizes that the export left open.
std::string dynamic_sizes(const std::vector<InputSpec>& specs,
                          const std::vector<at::Tensor>& inputs);

}  // namespace tenon
