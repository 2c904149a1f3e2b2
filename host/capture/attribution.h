#pragma once

#include "graph/graph.h"

namespace tenon {

// Tells which module each node ran in. C++ modules have no hooks, so a module's nodes are those
// that read its own parameters or what was made of these alone (a transposed weight), and all nodes
// on a way from one of them to another. Fills Node::module_stack, Node::call_index and
// Module::runs; a module without parameters is taken to run where its parent does.
void attribute_nodes(ModelData& model);

}  // namespace tenon
