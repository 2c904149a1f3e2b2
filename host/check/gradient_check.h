#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace tenon {

// A tensor of double precision that a function depends on.
struct Variable {
  std::string name;  // for messages
  at::Tensor tensor;
};

struct GradientFaults {
  std::string wrong;    // "the gradient of scale at [1, 0] is 0.3, finite differences give 0.6"
  std::string missing;  // "scale receives no gradient"; of the variables that must have one
};

// Compares what autograd gives for a weighted sum of the outputs with central differences, at some
// elements of each variable. The first `must_have` variables must receive a gradient.
GradientFaults check_gradients(const std::function<std::vector<at::Tensor>()>& function,
                               const std::vector<Variable>& variables, std::size_t must_have);

}  // namespace tenon
