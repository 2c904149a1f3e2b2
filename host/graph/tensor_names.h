#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// "seq.0" of "seq.0.weight" or of "seq.0.act"; "" of what has no dot.
std::string_view parent_path(std::string_view name);

// Its own name, then its aliases.
std::vector<std::string> all_names(const ModelTensor& tensor);

}  // namespace tenon
