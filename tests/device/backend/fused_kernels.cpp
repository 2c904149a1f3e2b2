// Operators that LibTorch calls on GPUs and never on the CPU, from those that the CPU has.
#include <ATen/ATen.h>
#include <torch/library.h>

#include "device/backend/aliases.h"

namespace test_device {
namespace {

using Gates = std::vector<at::Tensor>;

at::Tensor value_or_none(const std::optional<at::Tensor>& tensor) {
  return tensor.value_or(at::Tensor());
}

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight,
                       const std::optional<at::Tensor>& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
                       at::IntArrayRef output_padding, std::int64_t groups) {
  Aliases aliases("aten::convolution");
  const at::Tensor x = aliases.of(input);
  const at::Tensor w = aliases.of(weight);
  const at::Tensor b = aliases.of(value_or_none(bias));
  return aliases.back(at::convolution(x, w, b.defined() ? std::optional(b) : std::nullopt, stride,
                                      padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& weight,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed,
    at::IntArrayRef output_padding, std::int64_t groups, std::array<bool, 3> wanted) {
  Aliases aliases("aten::convolution_backward");
  const at::Tensor g = aliases.of(gradient);
  const at::Tensor x = aliases.of(input);
  const at::Tensor w = aliases.of(weight);
  const std::vector<std::int64_t> bias_sizes{transposed ? w.size(1) * groups : w.size(0)};
  const auto [dx, dw, db] = at::convolution_backward(g, x, w, bias_sizes, stride, padding, dilation,
                                                     transposed, output_padding, groups, wanted);
  return {aliases.back(dx), aliases.back(dw), aliases.back(db)};
}

at::Tensor with_bias(const at::Tensor& gates, const at::Tensor& bias) {
  return bias.defined() ? gates + bias : gates;
}

// The gates stand in the workspace as they are after their functions, which the gradient needs.
std::tuple<at::Tensor, at::Tensor, at::Tensor> lstm_cell(
    const at::Tensor& input_gates, const at::Tensor& hidden_gates, const at::Tensor& cx,
    const std::optional<at::Tensor>& input_bias, const std::optional<at::Tensor>& hidden_bias) {
  Aliases aliases("aten::_thnn_fused_lstm_cell");
  at::Tensor all = aliases.of(input_gates) + aliases.of(hidden_gates);
  all = with_bias(all, aliases.of(value_or_none(input_bias)));
  const Gates parts = with_bias(all, aliases.of(value_or_none(hidden_bias))).chunk(4, 1);
  const Gates gates{parts[0].sigmoid(), parts[1].sigmoid(), parts[2].tanh(), parts[3].sigmoid()};
  const at::Tensor cy = gates[1] * aliases.of(cx) + gates[0] * gates[2];
  return {aliases.back(gates[3] * cy.tanh()), aliases.back(cy), aliases.back(at::cat(gates, 1))};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> lstm_cell_backward(
    const std::optional<at::Tensor>& grad_hy, const std::optional<at::Tensor>& grad_cy,
    const at::Tensor& cx, const at::Tensor& cy, const at::Tensor& workspace, bool has_bias) {
  Aliases aliases("aten::_thnn_fused_lstm_cell_backward_impl");
  const at::Tensor before = aliases.of(cx);
  at::Tensor given_hy = aliases.of(value_or_none(grad_hy));
  at::Tensor given_cy = aliases.of(value_or_none(grad_cy));
  if (!given_hy.defined()) given_hy = at::zeros_like(before);
  if (!given_cy.defined()) given_cy = at::zeros_like(before);
  const Gates gate = aliases.of(workspace).chunk(4, 1);
  const at::Tensor bent = aliases.of(cy).tanh();
  const at::Tensor inner = given_hy * gate[3] * (1 - bent * bent) + given_cy;
  const at::Tensor gates = at::cat(
      {inner * gate[2] * gate[0] * (1 - gate[0]), inner * before * gate[1] * (1 - gate[1]),
       inner * gate[0] * (1 - gate[2] * gate[2]), given_hy * bent * gate[3] * (1 - gate[3])},
      1);
  return {aliases.back(gates), aliases.back(inner * gate[1]),
          has_bias ? aliases.back(gates.sum(0)) : at::Tensor()};
}

std::tuple<at::Tensor, at::Tensor> gru_cell(const at::Tensor& input_gates,
                                            const at::Tensor& hidden_gates, const at::Tensor& hx,
                                            const std::optional<at::Tensor>& input_bias,
                                            const std::optional<at::Tensor>& hidden_bias) {
  Aliases aliases("aten::_thnn_fused_gru_cell");
  const Gates in =
      with_bias(aliases.of(input_gates), aliases.of(value_or_none(input_bias))).chunk(3, 1);
  const Gates hidden =
      with_bias(aliases.of(hidden_gates), aliases.of(value_or_none(hidden_bias))).chunk(3, 1);
  const at::Tensor before = aliases.of(hx);
  const at::Tensor reset = (in[0] + hidden[0]).sigmoid();
  const at::Tensor update = (in[1] + hidden[1]).sigmoid();
  const at::Tensor fresh = (in[2] + reset * hidden[2]).tanh();
  return {aliases.back(fresh + update * (before - fresh)),
          aliases.back(at::cat({reset, update, fresh, before, hidden[2]}, 1))};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor> gru_cell_backward(
    const at::Tensor& grad_hy, const at::Tensor& workspace, bool has_bias) {
  Aliases aliases("aten::_thnn_fused_gru_cell_backward");
  const at::Tensor g = aliases.of(grad_hy);
  const Gates kept = aliases.of(workspace).chunk(5, 1);
  const at::Tensor& reset = kept[0];
  const at::Tensor& update = kept[1];
  const at::Tensor& fresh = kept[2];
  const at::Tensor d_update = g * (kept[3] - fresh) * (1 - update) * update;
  const at::Tensor d_fresh = g * (1 - update) * (1 - fresh * fresh);
  const at::Tensor d_reset = d_fresh * kept[4] * (1 - reset) * reset;
  const at::Tensor in = at::cat({d_reset, d_update, d_fresh}, 1);
  const at::Tensor hidden = at::cat({d_reset, d_update, d_fresh * reset}, 1);
  return {aliases.back(in), aliases.back(hidden), aliases.back(g * update),
          has_bias ? aliases.back(in.sum(0)) : at::Tensor(),
          has_bias ? aliases.back(hidden.sum(0)) : at::Tensor()};
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("convolution_overrideable", convolution);
  library.impl("convolution_backward_overrideable", convolution_backward);
  library.impl("_thnn_fused_lstm_cell", lstm_cell);
  library.impl("_thnn_fused_lstm_cell_backward_impl", lstm_cell_backward);
  library.impl("_thnn_fused_gru_cell", gru_cell);
  library.impl("_thnn_fused_gru_cell_backward", gru_cell_backward);
}

}  // namespace test_device
