#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/stack.h>

#include <string_view>

// Adapter arithmetic that is faster as one operator than as several of LibTorch's; offered to every
// plugin by name, through tenon_host.resolve, like any other operator.
namespace tenon {

struct FusedOperator {
  c10::FunctionSchema schema;
  void (*kernel)(torch::jit::Stack&);
};

// nullptr if the host has no operator of that name.
//
// tenon::lora_linear(Tensor x, Tensor weight, Tensor? bias, Tensor a, Tensor b, float scaling,
//                    float dropout=0.) -> Tensor
//   y = x weight^T + bias + scaling * (drop(x) a^T) b^T;  x (..., in); weight (out, in);
//   a (r, in); b (out, r); y (..., out).
// tenon::lora_linears(Tensor x, Tensor[] weight, Tensor?[] bias, Tensor[] a, Tensor[] b,
//                     float[] scaling, float dropout=0.) -> Tensor[]
//   The same for layers that read one x, in fewer passes over x and its gradient; each drops out
//   by a mask of its own.
// tenon::lora_conv(Tensor x, Tensor weight, Tensor? bias, Tensor a, Tensor b, int[] stride,
//                  int[] padding, int[] dilation, float scaling, float dropout=0.) -> Tensor
//   y = conv(x, weight) + bias + scaling * b conv(drop(x), a), of one group, padded with zeros;
//   x (batch, in, size...) or (in, size...); weight (out, in, kernel...); a (r, in, kernel...);
//   b (out, r, 1...).
// tenon::dropout(Tensor x, float p) -> Tensor
//   aten::dropout in training, without storing its mask.
const FusedOperator* find_fused_operator(std::string_view name);

}  // namespace tenon
