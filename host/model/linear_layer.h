#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace tenon {

// Whether layers of a type multiply by one matrix, their `weight`: Linear, its subclass inside a
// MultiheadAttention, and transformers' Conv1D, which keeps it the other way round.
bool is_linear(const std::string& type);

// From the weight of such a layer to (out, in), and back.
at::Tensor turn_matrix(const std::string& type, const at::Tensor& weight);

}  // namespace tenon
