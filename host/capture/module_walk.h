#pragma once

#include <tenon/callable_model.h>

#include <map>
#include <vector>

#include "graph/graph.h"

namespace tenon {

// The modules and tensors of a torch::nn::Module. The tensors are the module's own, shared with it.
struct WalkedModule {
  ModuleTree tree;                          // in registration order, the root first
  std::vector<ModelTensor> tensors;         // parameters, then buffers, each by its first name
  std::vector<torch::nn::Module*> modules;  // beside the tree's
};
WalkedModule walk_module(torch::nn::Module& module);

// "torch::nn::LinearImpl" -> "torch.nn.Linear", "acme::MyScaleImpl" -> "acme.MyScale".
std::string public_cpp_type_name(std::string name);

}  // namespace tenon
