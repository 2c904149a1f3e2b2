#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/subgraph.h"

namespace tenon {

// What a module of any class does with its own `weight`, where that is the work of one operator:
// the layer of PyTorch's whose operator it is.
struct OwnOperator {
  std::string type;  // "torch.nn.Linear"
  // Whether nothing but casts, and padding before a convolution, stands beside it: run on another
  // weight, the module gives what the operator gives on that.
  bool is_exact = false;
};

// Of a module that maps one tensor to one. Beside a product or a look-up there may be arithmetic
// element by element, on what it reads and gives; nullopt for all else, and where its calls differ.
std::optional<OwnOperator> own_operator(const ModelData& model, const std::vector<Subgraph>& calls);

// PyTorch's layer of an operator: "torch.nn.Linear" for "aten::linear"; "" if there is none.
std::string layer_of_operator(std::string_view target);

}  // namespace tenon
