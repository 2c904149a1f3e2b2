#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace tenon {

// A convolution of one group, padded with zeros, with a low-rank term: y = conv(x, W) + b + s B
// conv(drop(x), A).
struct LoraConv {
  at::Tensor weight;  // (out, in, kernel...)
  at::Tensor bias;    // (out), or undefined
  at::Tensor a;       // (r, in, kernel...)
  at::Tensor b;       // (out, r, 1...)
  // Of each dimension of the kernel.
  std::vector<std::int64_t> stride;
  std::vector<std::int64_t> padding;
  std::vector<std::int64_t> dilation;
  double scaling = 1;
  double dropout = 0;  // of x before A, while training
};

// x (batch, in, size...) or (in, size...). The low-rank term is added to the base's own fresh
// output in place, as a product of matrices: a kernel of one point with few channels is slow as a
// convolution. Only x and the rank-r result are kept for the gradient, in which the terms of dx are
// summed in place. The gradient can be differentiated again.
at::Tensor lora_conv(const at::Tensor& x, const LoraConv& layer);

}  // namespace tenon
