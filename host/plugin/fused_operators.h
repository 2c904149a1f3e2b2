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
// tenon::lora_linear(Tensor x, Tensor x_lora, Tensor weight, Tensor? bias, Tensor a, Tensor b,
//                    float scaling) -> Tensor
//   y = x weight^T + bias + scaling * (x_lora a^T) b^T;  x, x_lora (..., in); weight (out, in);
//   a (r, in); b (out, r); y (..., out). x_lora is x itself, or x after dropout.
const FusedOperator* find_fused_operator(std::string_view name);

}  // namespace tenon
