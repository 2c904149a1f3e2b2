#include "quantize/packed_product.h"

#include <ATen/ATen.h>

#include "quantize/packed_tensor.h"
#include "quantize/product_parts.h"

namespace tenon {

at::Tensor packed_product(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                          const at::Scalar& beta, const at::Scalar& alpha) {
  const PackedView& view = packed_view(packed);
  const std::int64_t depth = packed.size(0);
  TORCH_CHECK(x.dim() == 2 && x.size(1) == depth, "mat1 and mat2 shapes cannot be multiplied (",
              x.sizes(), " and ", packed.sizes(), ")");
  TORCH_CHECK(x.scalar_type() == packed.scalar_type(),
              "expected m1 and m2 to have the same dtype, but got: ", x.scalar_type(),
              " != ", packed.scalar_type());
  const at::ScalarType dtype =
      is_multiplied_fast(x.scalar_type()) ? x.scalar_type() : at::ScalarType::Float;
  const auto part = [&](std::int64_t first, std::int64_t count) {
    if (!view.transposed) return view.weight->unpack({0, depth, first, count}, dtype);
    return view.weight->unpack({first, count, 0, depth}, dtype).t();
  };
  return product_by_parts(x, {depth, packed.size(1), dtype, part}, bias, beta, alpha);
}

}  // namespace tenon
