#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// What a model's export took from it or left in it, so that it trains or runs otherwise than its
// source would: for `plan` and `run` to tell.
std::vector<std::string> export_notes(const ModelData& model);

// Those of them that hold in evaluation too: for whoever runs or merges the model.
std::vector<std::string> evaluation_notes(const ModelData& model);

}  // namespace tenon
