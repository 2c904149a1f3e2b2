#include "plugin/fused_operators.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/jit/frontend/function_schema_parser.h>

namespace tenon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor flat(const at::Tensor& x) { return x.dim() == 2 ? x : x.reshape({-1, x.size(-1)}); }

// y = x W^T + b + s (x_lora A^T) B^T on matrices. Saves the inputs and the rank-r product only; in
// backward the low-rank part of dx is accumulated into the base's, without a tensor of its own.
struct LoraLinearFunction : torch::autograd::Function<LoraLinearFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& x_lora,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                            const at::Tensor& a, const at::Tensor& b, double scaling) {
    const bool same_input = x.is_same(x_lora);
    at::Tensor y = bias ? at::addmm(*bias, x, weight.t()) : at::mm(x, weight.t());
    const at::Tensor low = at::mm(x_lora, a.t());
    y.addmm_(low, b.t(), 1, scaling);
    context->save_for_backward({x, same_input ? at::Tensor() : x_lora, weight, a, b, low});
    context->saved_data["scaling"] = scaling;
    context->saved_data["has_bias"] = bias.has_value();
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const bool same_input = !saved[1].defined();
    const at::Tensor& x_lora = same_input ? x : saved[1];
    const at::Tensor& weight = saved[2];
    const at::Tensor& a = saved[3];
    const at::Tensor& b = saved[4];
    const double scaling = context->saved_data["scaling"].toDouble();
    const at::Tensor& g = gradients[0];
    // Gradients are asked for by tensor argument; a bias that is not there is not counted.
    const bool has_bias = context->saved_data["has_bias"].toBool();
    const std::size_t a_index = has_bias ? 4 : 3;

    // With a graph of the gradient itself (double backward), the saved product is a constant that
    // would hide its dependence on x and A: make it again.
    const at::Tensor low = at::GradMode::is_enabled() ? at::mm(x_lora, a.t()) : saved[5];
    const at::Tensor g_low = at::mm(g, b).mul_(scaling);

    at::Tensor dx, dx_lora, d_weight, d_bias, da, db;
    if (context->needs_input_grad(0)) {
      dx = at::mm(g, weight);
      if (same_input) dx.addmm_(g_low, a);
    }
    if (!same_input && context->needs_input_grad(1)) dx_lora = at::mm(g_low, a);
    if (context->needs_input_grad(2)) d_weight = at::mm(g.t(), x);
    if (has_bias && context->needs_input_grad(3)) d_bias = g.sum(0);
    if (context->needs_input_grad(a_index)) da = at::mm(g_low.t(), x_lora);
    // With the long side of g as the product's rows the kernel is slower by half or more.
    if (context->needs_input_grad(a_index + 1)) db = at::mm(low.t(), g).mul_(scaling).t();
    return {dx, dx_lora, d_weight, d_bias, da, db, at::Tensor()};
  }
};

void lora_linear(torch::jit::Stack& stack) {
  const at::Tensor& x = stack[0].toTensor();
  const at::Tensor& x_lora = stack[1].toTensor();
  const at::Tensor& weight = stack[2].toTensor();
  const at::Tensor flat_x = flat(x);
  at::Tensor y = LoraLinearFunction::apply(
      flat_x, x_lora.is_same(x) ? flat_x : flat(x_lora), weight, stack[3].toOptional<at::Tensor>(),
      stack[4].toTensor(), stack[5].toTensor(), stack[6].toDouble());
  if (x.dim() != 2) {
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    y = y.view(shape);
  }
  stack.clear();
  stack.emplace_back(std::move(y));
}

}  // namespace

const FusedOperator* find_fused_operator(std::string_view name) {
  static const FusedOperator kLoraLinear{
      torch::jit::parseSchema("tenon::lora_linear(Tensor x, Tensor x_lora, Tensor weight, "
                              "Tensor? bias, Tensor a, Tensor b, float scaling) -> Tensor"),
      lora_linear};
  return name == "tenon::lora_linear" ? &kLoraLinear : nullptr;
}

}  // namespace tenon
