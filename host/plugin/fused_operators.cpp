#include "plugin/fused_operators.h"

#include <ATen/core/List.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/jit/frontend/function_schema_parser.h>

#include <array>

#include "plugin/dropout_mask.h"
#include "plugin/lora_conv_function.h"
#include "plugin/lora_linear_function.h"

namespace tenon {
namespace {

void lora_linear(torch::jit::Stack& stack) {
  const LoraLinears layer{
      {stack[1].toTensor()}, {stack[2].isNone() ? at::Tensor() : stack[2].toTensor()},
      {stack[3].toTensor()}, {stack[4].toTensor()},
      {stack[5].toDouble()}, stack[6].toDouble()};
  at::Tensor y = std::move(lora_linears(stack[0].toTensor(), layer)[0]);
  stack.clear();
  stack.emplace_back(std::move(y));
}

std::vector<at::Tensor> optional_tensors(const c10::IValue& list) {
  std::vector<at::Tensor> tensors;
  for (const c10::IValue& item : list.toListRef()) {
    tensors.push_back(item.isNone() ? at::Tensor() : item.toTensor());
  }
  return tensors;
}

void lora_linear_group(torch::jit::Stack& stack) {
  const LoraLinears layers{stack[1].toTensorVector(), optional_tensors(stack[2]),
                           stack[3].toTensorVector(), stack[4].toTensorVector(),
                           stack[5].toDoubleVector(), stack[6].toDouble()};
  const std::size_t n = layers.weight.size();
  TORCH_CHECK(n > 0 && layers.bias.size() == n && layers.a.size() == n && layers.b.size() == n &&
                  layers.scaling.size() == n,
              "tenon::lora_linears: the lists have different lengths");
  std::vector<at::Tensor> outputs = lora_linears(stack[0].toTensor(), layers);
  stack.clear();
  stack.emplace_back(std::move(outputs));
}

void conv(torch::jit::Stack& stack) {
  const LoraConv layer{
      stack[1].toTensor(),    stack[2].isNone() ? at::Tensor() : stack[2].toTensor(),
      stack[3].toTensor(),    stack[4].toTensor(),
      stack[5].toIntVector(), stack[6].toIntVector(),
      stack[7].toIntVector(), stack[8].toDouble(),
      stack[9].toDouble()};
  at::Tensor y = lora_conv(stack[0].toTensor(), layer);
  stack.clear();
  stack.emplace_back(std::move(y));
}

struct DropoutFunction : torch::autograd::Function<DropoutFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            double p) {
    const DropoutMask mask = DropoutMask::draw(p);
    context->saved_data["seed"] = mask.seed();
    context->saved_data["p"] = p;
    return mask.apply(x);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const DropoutMask mask(context->saved_data["seed"].toInt(),
                           context->saved_data["p"].toDouble());
    const at::Tensor& g = gradients[0];
    return {at::GradMode::is_enabled() ? g * mask.tensor_like(g) : mask.apply(g), at::Tensor()};
  }
};

void dropout(torch::jit::Stack& stack) {
  at::Tensor y = DropoutFunction::apply(stack[0].toTensor(), stack[1].toDouble());
  stack.clear();
  stack.emplace_back(std::move(y));
}

const std::array<FusedOperator, 4>& fused_operators() {
  using torch::jit::parseSchema;
  static const std::array<FusedOperator, 4> operators{{
      {parseSchema("tenon::lora_linear(Tensor x, Tensor weight, Tensor? bias, Tensor a, Tensor b, "
                   "float scaling, float dropout=0.) -> Tensor"),
       lora_linear},
      {parseSchema("tenon::lora_linears(Tensor x, Tensor[] weight, Tensor?[] bias, Tensor[] a, "
                   "Tensor[] b, float[] scaling, float dropout=0.) -> Tensor[]"),
       lora_linear_group},
      {parseSchema("tenon::lora_conv(Tensor x, Tensor weight, Tensor? bias, Tensor a, Tensor b, "
                   "int[] stride, int[] padding, int[] dilation, float scaling, float dropout=0.) "
                   "-> Tensor"),
       conv},
      {parseSchema("tenon::dropout(Tensor x, float p) -> Tensor"), dropout},
  }};
  return operators;
}

}  // namespace

const FusedOperator* find_fused_operator(std::string_view name) {
  for (const FusedOperator& op : fused_operators()) {
    if (op.schema.name() == name) return &op;
  }
  return nullptr;
}

}  // namespace tenon
