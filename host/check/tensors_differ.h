#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace tenon {

// "" if both are alike: shapes, types and values within `tolerance` of the largest; else what is
// not: "output 0 differs by 0.31 where the largest value is 1.2".
std::string tensors_differ(const std::vector<at::Tensor>& expected,
                           const std::vector<at::Tensor>& actual, double tolerance);

}  // namespace tenon
