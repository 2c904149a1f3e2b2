#include "interpreter/frozen_linear.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "quantize/frozen_product.h"

namespace tenon {
namespace {

// Arguments of the operator, in its order.
enum LinearArgument : std::uint8_t { kLinearInput, kLinearWeight, kLinearBias };

bool is_trained(const at::Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); }

bool is_slow_and_frozen(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return weight.dim() == 2 && x.dim() >= 2 && x.size(-1) == weight.size(1) && x.numel() > 0 &&
         is_slow_product(x, weight) && !is_trained(weight) && !is_trained(bias) &&
         !at::autocast::is_autocast_enabled(at::kCPU);
}

}  // namespace

void LinearInstruction::run(Frame& frame) const {
  read_operands(frame);
  const at::Tensor x = frame.stack[kLinearInput].toTensor();
  const at::Tensor weight = frame.stack[kLinearWeight].toTensor();
  const c10::IValue& given = frame.stack[kLinearBias];
  const at::Tensor bias = given.isTensor() ? given.toTensor() : at::Tensor();
  if (is_slow_and_frozen(x, weight, bias)) {
    at::Tensor output = linear_in_float32(x, weight, bias);
    frame.stack.clear();
    frame.stack.emplace_back(std::move(output));
  } else {
    call(frame);
  }
  store(frame);
}

}  // namespace tenon
