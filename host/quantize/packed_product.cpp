#include "quantize/packed_product.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "quantize/packed_tensor.h"

namespace tenon {
namespace {

// How many columns of the result are made at a time: what is unpacked for them should stay in the
// cache, and be enough for the matrix library to run at its speed.
std::int64_t columns_at_once(std::int64_t depth) {
  constexpr std::int64_t kNumbers = std::int64_t{1} << 20;
  constexpr std::int64_t kFewest = 128;
  const std::int64_t columns = kNumbers / std::max<std::int64_t>(depth, 1);
  return std::max(kFewest, columns / 64 * 64);
}

// Whether the matrix library multiplies this dtype by instructions of its own. Without them it is
// many times slower than float32, which what is unpacked is in anyway.
bool is_multiplied_fast(at::ScalarType dtype) {
#if defined(__x86_64__)
  if (dtype == at::kBFloat16) return __builtin_cpu_supports("avx512bf16") != 0;
  return dtype != at::kHalf;
#else
  return true;
#endif
}

}  // namespace

at::Tensor packed_product(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                          const at::Scalar& beta, const at::Scalar& alpha) {
  const PackedView& view = packed_view(packed);
  const std::int64_t depth = packed.size(0);
  const std::int64_t width = packed.size(1);
  TORCH_CHECK(x.dim() == 2 && x.size(1) == depth, "mat1 and mat2 shapes cannot be multiplied (",
              x.sizes(), " and ", packed.sizes(), ")");
  TORCH_CHECK(x.scalar_type() == packed.scalar_type(),
              "expected m1 and m2 to have the same dtype, but got: ", x.scalar_type(),
              " != ", packed.scalar_type());
  const at::ScalarType dtype =
      is_multiplied_fast(x.scalar_type()) ? x.scalar_type() : at::ScalarType::Float;
  const at::Tensor left = x.to(dtype);
  at::Tensor y = at::empty({x.size(0), width}, x.options());
  const at::Tensor added = bias.defined() ? bias.to(dtype).expand(y.sizes()) : at::Tensor();
  const std::int64_t step = columns_at_once(depth);
  for (std::int64_t first = 0; first < width; first += step) {
    const std::int64_t count = std::min(step, width - first);
    const MatrixPart part =
        view.transposed ? MatrixPart{first, count, 0, depth} : MatrixPart{0, depth, first, count};
    const at::Tensor full = view.weight->unpack(part, dtype);
    const at::Tensor factor = view.transposed ? full.t() : full;
    at::Tensor own = y.narrow(1, first, count);
    if (dtype != y.scalar_type()) {  // rounded once
      own.copy_(added.defined()
                    ? at::addmm(added.narrow(1, first, count), left, factor, beta, alpha)
                    : at::mm(left, factor));
    } else if (added.defined()) {
      at::addmm_out(own, added.narrow(1, first, count), left, factor, beta, alpha);
    } else {
      at::mm_out(own, left, factor);
    }
  }
  return y;
}

}  // namespace tenon
