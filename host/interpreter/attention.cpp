#include "interpreter/attention.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>

namespace tenon {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Arguments of the operator, in its order.
enum AttentionArgument : std::uint8_t {
  kQuery,
  kKey,
  kValue,
  kMask,
  kDropout,
  kCausal,
  kScale,
  kGrouped
};

// Tokens times numbers of a head up to which float32 was measured to be faster.
constexpr std::int64_t kShort = 8192;
constexpr std::int64_t kFlash = 1;  // of at::_fused_sdp_choice

struct Attention {
  at::Tensor query;
  at::Tensor key;
  at::Tensor value;
  std::optional<at::Tensor> mask;
  bool is_causal = false;
  std::optional<double> scale;
};

bool is_half(at::ScalarType dtype) { return dtype == at::kBFloat16 || dtype == at::kHalf; }

bool is_short(const at::Tensor& x) { return x.dim() == 4 && x.size(2) * x.size(3) <= kShort; }

// As autocast hands it to the operator.
at::Tensor cast(const at::Tensor& tensor) {
  if (!at::autocast::is_autocast_enabled(at::kCPU)) return tensor;
  return at::autocast::cached_cast(at::autocast::get_autocast_dtype(at::kCPU), tensor, at::kCPU);
}

// The operator's arguments, if its gradient is one to compute here.
std::optional<Attention> short_half_attention(const torch::jit::Stack& stack) {
  if (!at::GradMode::is_enabled() || stack[kDropout].toDouble() != 0 || stack[kGrouped].toBool()) {
    return std::nullopt;
  }
  const at::Tensor& query = stack[kQuery].toTensor();
  const at::Tensor& key = stack[kKey].toTensor();
  const at::Tensor& value = stack[kValue].toTensor();
  const bool has_gradient = query.requires_grad() || key.requires_grad() || value.requires_grad();
  if (!has_gradient || !query.is_cpu() || !is_short(query) || !is_short(key)) return std::nullopt;
  Attention attention{cast(query),
                      cast(key),
                      cast(value),
                      {},
                      stack[kCausal].toBool(),
                      stack[kScale].toOptional<double>()};
  if (!is_half(attention.query.scalar_type())) return std::nullopt;
  if (!stack[kMask].isNone()) {
    const at::Tensor& mask = stack[kMask].toTensor();
    if (mask.requires_grad()) return std::nullopt;
    attention.mask = mask.scalar_type() == at::kBool
                         ? at::zeros(mask.sizes(), attention.query.options())
                               .masked_fill_(mask.logical_not(), -HUGE_VAL)
                         : cast(mask);
  }
  const std::int64_t choice =
      at::_fused_sdp_choice(attention.query, attention.key, attention.value, attention.mask, 0,
                            attention.is_causal, attention.scale);
  return choice == kFlash ? std::optional(attention) : std::nullopt;
}

struct ShortAttentionFunction : torch::autograd::Function<ShortAttentionFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query,
                            const at::Tensor& key, const at::Tensor& value,
                            const Attention& attention) {
    auto [output, logsumexp] = at::_scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0, attention.is_causal, attention.mask, attention.scale);
    context->save_for_backward(
        {query, key, value, output, logsumexp, attention.mask.value_or(at::Tensor())});
    context->saved_data["is_causal"] = attention.is_causal;
    context->saved_data["scale"] = attention.scale;
    return output;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto wide = [](const at::Tensor& tensor) { return tensor.to(at::kFloat); };
    const at::Tensor& mask = saved[5];
    const auto [query, key, value] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
        wide(gradients[0]), wide(saved[0]), wide(saved[1]), wide(saved[2]), wide(saved[3]),
        saved[4], 0, context->saved_data["is_causal"].toBool(),
        mask.defined() ? std::optional(wide(mask)) : std::nullopt,
        context->saved_data["scale"].toOptional<double>());
    const at::ScalarType dtype = saved[0].scalar_type();
    return {query.to(dtype), key.to(dtype), value.to(dtype), at::Tensor()};
  }
};

}  // namespace

void AttentionInstruction::run(Frame& frame) const {
  read_operands(frame);
  if (const auto attention = short_half_attention(frame.stack)) {
    at::Tensor output = ShortAttentionFunction::apply(attention->query, attention->key,
                                                      attention->value, *attention);
    frame.stack.clear();
    frame.stack.emplace_back(std::move(output));
  } else {
    call(frame);
  }
  store(frame);
}

}  // namespace tenon
