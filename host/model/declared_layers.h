#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"
#include "model/graph.h"

namespace tenon {

// A parameter of a declared layer and how PyTorch starts it.
struct DeclaredParameter {
  std::string name;  // "weight"
  std::vector<std::int64_t> shape;
  std::string init;  // as tenon_parameter's
  double init_a = 0;
  double init_b = 0;
};

// What one [[model.layers]] entry becomes: one operator on the running value.
struct DeclaredOperator {
  std::string type;  // "torch.nn.Linear"
  std::string target;
  std::string overload;
  std::string input_argument;  // the operator's name for the running value
  std::vector<DeclaredParameter> parameters;
  std::vector<std::string> parameter_arguments;  // the operator's names for them
  std::vector<NamedArgument> constants;
  bool takes_ids = false;  // its input is int64
};

// Throws Error{kConfig} naming the layer: an unknown type (with the nearest), an argument that the
// constructor does not have, one that is missing or of the wrong type.
DeclaredOperator declare_operator(const DeclaredLayer& layer);

}  // namespace tenon
