#include "quantize/frozen_product.h"

#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/csrc/autograd/custom_function.h>

#include <optional>
#include <vector>

#include "quantize/packed_tensor.h"
#include "quantize/product_parts.h"

namespace tenon {
namespace {

struct FrozenLinearFunction : torch::autograd::Function<FrozenLinearFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
    const at::AutoDispatchBelowADInplaceOrView no_gradients;
    context->save_for_backward({weight});
    return product_in_float32(x, weight.t(), bias.value_or(at::Tensor()));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const at::Tensor weight = context->get_saved_variables()[0];
    const at::Tensor& g = gradients[0];
    // Plain operators where the gradient itself is differentiated.
    return {at::GradMode::is_enabled() ? at::mm(g, weight) : product_in_float32(g, weight),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

bool is_slow_product(const at::Tensor& x, const at::Tensor& matrix) {
  return x.is_cpu() && matrix.is_cpu() && x.scalar_type() == matrix.scalar_type() &&
         !is_packed(matrix) && !is_packed(x) && !is_multiplied_fast(x.scalar_type());
}

at::Tensor product_in_float32(const at::Tensor& x, const at::Tensor& matrix,
                              const at::Tensor& bias) {
  TORCH_CHECK(x.dim() == 2 && matrix.dim() == 2 && x.size(1) == matrix.size(0),
              "mat1 and mat2 shapes cannot be multiplied (", x.sizes(), " and ", matrix.sizes(),
              ")");
  const auto part = [&](std::int64_t first, std::int64_t count) {
    return matrix.narrow(1, first, count).to(at::kFloat);
  };
  return product_by_parts(x, {matrix.size(0), matrix.size(1), at::kFloat, part}, bias, 1, 1);
}

at::Tensor frozen_product(const at::Tensor& x, const at::Tensor& matrix, const at::Tensor& bias) {
  if (is_slow_product(x, matrix)) return product_in_float32(x, matrix, bias);
  return bias.defined() ? at::addmm(bias, x, matrix) : at::mm(x, matrix);
}

at::Tensor linear_in_float32(const at::Tensor& x, const at::Tensor& weight,
                             const at::Tensor& bias) {
  const at::Tensor rows = x.dim() == 2 ? x : x.reshape({-1, x.size(-1)});
  const at::Tensor y = FrozenLinearFunction::apply(
      rows, weight, bias.defined() ? std::optional(bias) : std::nullopt);
  if (x.dim() == 2) return y;
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = y.size(1);
  return y.view(shape);
}

}  // namespace tenon
