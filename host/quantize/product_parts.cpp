#include "quantize/product_parts.h"

#include <ATen/ATen.h>

#include <algorithm>

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

}  // namespace

bool is_multiplied_fast(at::ScalarType dtype) {
#if defined(__x86_64__)
  if (dtype == at::kBFloat16) return __builtin_cpu_supports("avx512bf16") != 0;
  return dtype != at::kHalf;
#else
  (void)dtype;
  return true;
#endif
}

at::Tensor product_by_parts(const at::Tensor& x, const RightFactor& factor, const at::Tensor& bias,
                            const at::Scalar& beta, const at::Scalar& alpha) {
  const at::Tensor left = x.to(factor.dtype);
  at::Tensor y = at::empty({x.size(0), factor.width}, x.options());
  const at::Tensor added = bias.defined() ? bias.to(factor.dtype).expand(y.sizes()) : at::Tensor();
  const std::int64_t step = columns_at_once(factor.depth);
  for (std::int64_t first = 0; first < factor.width; first += step) {
    const std::int64_t count = std::min(step, factor.width - first);
    const at::Tensor right = factor.part(first, count);
    at::Tensor own = y.narrow(1, first, count);
    if (factor.dtype != y.scalar_type()) {  // rounded once
      own.copy_(added.defined() ? at::addmm(added.narrow(1, first, count), left, right, beta, alpha)
                                : at::mm(left, right));
    } else if (added.defined()) {
      at::addmm_out(own, added.narrow(1, first, count), left, right, beta, alpha);
    } else {
      at::mm_out(own, left, right);
    }
  }
  return y;
}

}  // namespace tenon
