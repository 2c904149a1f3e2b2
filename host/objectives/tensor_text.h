#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace tenon {

// "(4, 20)", as messages write a shape.
std::string shape_text(at::IntArrayRef sizes);

// PyTorch's name: "float32".
std::string dtype_text(at::ScalarType dtype);

}  // namespace tenon
