#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace tenon {

// How tensors of several adapters become one (PEFT: utils/merge_utils.py).
struct TaskArithmetic {
  std::string method;         // linear ties dare_linear dare_ties magnitude_prune
  double density = 1;         // the fraction of values that stays; of all but linear
  bool by_frequency = false;  // of the ties: the sign that more adapters have, not the larger sum
  at::Generator generator = {};  // of dare
};

// All of one shape; in float32 at least.
at::Tensor combine_tensors(const TaskArithmetic& how, std::vector<at::Tensor> tensors,
                           const std::vector<double>& weights);

}  // namespace tenon
