#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tenon {

// Which elements dropout keeps, as a seed: element i is kept if a hash of (seed, i) is below the
// kept share of 2^32. So nothing is stored between forward and backward, and every use makes the
// same mask again. Same distribution as at::dropout; reproducible by the default generator's seed,
// whatever the number of threads. On another device than the CPU a generator with that seed draws
// the mask, each time anew.
class DropoutMask {
 public:
  // Draws a seed from LibTorch's default generator. 0 <= p < 1.
  static DropoutMask draw(double p);

  // A mask again from its parts, as autograd saves them.
  DropoutMask(std::int64_t seed, double p) : seed_(seed), p_(p) {}
  std::int64_t seed() const { return seed_; }

  // Zeros and 1 / (1 - p), shaped and typed like `x`.
  at::Tensor tensor_like(const at::Tensor& x) const;
  // x * mask, contiguous.
  at::Tensor apply(const at::Tensor& x) const;
  // sum += term * mask, in place; both contiguous and of one shape.
  void add_masked(at::Tensor& sum, const at::Tensor& term) const;

 private:
  at::Tensor drawn_on_device_of(const at::Tensor& x) const;

  std::int64_t seed_;
  double p_;
};

}  // namespace tenon
