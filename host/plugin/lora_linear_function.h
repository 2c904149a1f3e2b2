#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace tenon {

// Linear layers with a low-rank term each, all on one input: y_i = x W_i^T + b_i + s_i drop(x)
// A_i^T B_i^T. Tensors in the order of the layers; an undefined bias is none.
struct LoraLinears {
  std::vector<at::Tensor> weight;  // (out, in)
  std::vector<at::Tensor> bias;    // (out)
  std::vector<at::Tensor> a;       // (r, in)
  std::vector<at::Tensor> b;       // (out, r)
  std::vector<double> scaling;
  double dropout = 0;  // of x before A, while training
};

// x (..., in); one output (..., out) for each layer. The low-rank terms are added to the bases' own
// fresh outputs in place; only x and the rank-r products are kept for the gradient, in which the
// terms of dx are summed in place. The gradient can be differentiated again.
std::vector<at::Tensor> lora_linears(const at::Tensor& x, const LoraLinears& layers);

}  // namespace tenon
