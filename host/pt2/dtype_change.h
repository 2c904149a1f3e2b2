#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <vector>

#include "graph/graph.h"
#include "pt2/pt2_schema.h"

namespace tenon {

// Makes a program run in another floating-point dtype than it was exported in: what
// `model.to(dtype)` before the export would have given. Parameters, buffers and constants of the
// program's own dtype (that of most numbers in its parameters) are cast, one after the other, the
// memory of the first form being given back; of a program that has the dtype already nothing is
// touched and all stays mapped.
//
// To a wider dtype, or from a half one, every mention of the program's own dtype in the graph
// becomes the new one. From float32 or float64 to a half dtype a mention may be the model's own
// wish
// (`x.float()` in a norm) or follow the model's (`x.to(weight.dtype)`), and the file does not say
// which: dtype_flow.h tells them apart. Inputs keep the dtype that the file gives them, and are
// cast in the graph; outputs are of the new one, unless the model itself widens them. `recorded`:
// what the export saw of each of the graph's values. Throws Error{Stage::kModel} with the operators
// that hold graphs of their own (cond, while_loop, ...), where a mention cannot be followed.
void change_dtype(ModelData& model, const std::vector<std::optional<pt2::RecordedTensor>>& recorded,
                  at::ScalarType dtype);

}  // namespace tenon
