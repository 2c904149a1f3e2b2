#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "graph/graph.h"
#include "pt2/pt2_schema.h"

namespace tenon {

// Rewrites a graph that was exported in `own` (float32 or float64) to run with weights of the half
// dtype `dtype`, by following through its operators which values are half and which are wide:
// - A cast of a half value to `own` is the model's wish, and stays: norms and softmaxes that widen.
// - A cast of a wide value to `own` goes back to what the model's weights have, and becomes one to
//   `dtype`: the second half of the same idiom.
// - An operator that mixes both promotes as PyTorch does; one that takes a single dtype (products,
//   convolutions, recurrent layers, attention) gets its wide arguments cast, where PyTorch would
//   fail.
// - Numbers beyond the dtype's range, such as the -3.4e38 of a mask, become its own greatest.
// Returns the tensors (indices into ModelData::tensors) that keep their dtype: single numbers, and
// buffers and constants outside the state dict which are only read to be widened, such as the
// frequencies of a rotary embedding.
std::set<std::int32_t> follow_half(ModelData& model,
                                   const std::vector<std::optional<pt2::RecordedTensor>>& recorded,
                                   at::ScalarType own, at::ScalarType dtype);

}  // namespace tenon
