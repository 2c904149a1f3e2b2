#pragma once

#include <string>
#include <vector>

#include "data/data_source.h"
#include "graph/graph.h"

namespace tenon {

// Settles what of a dataset has rows, once its tensors are read: fills in `rows`, `shared`,
// `is_one_batch` and `notes`. `named`: [data] shared. An input whose dimension 0 the export relates
// to no other's is the same for all rows where it has another number of them; where such an input
// holds pairs of rows' numbers (the edges of a graph), or no input has the target's rows, the file
// is one batch. What does not fit is appended to `problems`.
void settle_rows(Dataset& data, const std::vector<InputSpec>& inputs,
                 const std::vector<std::string>& named, std::vector<std::string>& problems);

}  // namespace tenon
