#pragma once

#include <string>

#include "graph/graph.h"

namespace tenon {

// Whether PyTorch's module type computes with this operator on its own parameters: aten::addmm for
// torch.nn.Linear. So an embedding's weight that serves as a projection elsewhere is not its own
// use. True for types of other makers.
bool is_own_operator(const std::string& type, const Node& node);

// Whether one call of a module of this type reads each of its parameters just once, so that a
// second read is a second call.
bool reads_parameters_once(const std::string& type);

}  // namespace tenon
