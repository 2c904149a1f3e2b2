#include "plugin/dropout_mask.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace tenon {
namespace {

constexpr std::int64_t kCount = 1 << 20;

double kept_share(const at::Tensor& mask) {
  return static_cast<double>(at::count_nonzero(mask).item<std::int64_t>()) /
         static_cast<double>(mask.numel());
}

TEST(DropoutMaskTest, KeepsTheShareItShouldAndScalesIt) {
  for (const double p : {0.0, 0.1, 0.5, 0.9}) {
    const at::Tensor mask = DropoutMask(12345, p).tensor_like(at::empty({kCount}));
    // Five standard deviations of a binomial share.
    EXPECT_NEAR(kept_share(mask), 1 - p, 5 * std::sqrt(p * (1 - p) / kCount) + 1e-12) << p;
    EXPECT_FLOAT_EQ(mask.max().item<float>(), static_cast<float>(1 / (1 - p)));
    EXPECT_TRUE(p == 0 || mask.min().item<float>() == 0);
  }
}

TEST(DropoutMaskTest, NeighboursAndOtherSeedsAreIndependent) {
  const at::Tensor kept = DropoutMask(1, 0.5).tensor_like(at::empty({kCount})) > 0;
  const at::Tensor other = DropoutMask(2, 0.5).tensor_like(at::empty({kCount})) > 0;
  const auto agreement = [](const at::Tensor& a, const at::Tensor& b) {
    return kept_share(a == b);
  };
  EXPECT_NEAR(agreement(kept, other), 0.5, 0.0025);
  for (const std::int64_t distance : {1, 2, 16, 384}) {
    EXPECT_NEAR(agreement(kept.slice(0, distance), kept.slice(0, 0, kCount - distance)), 0.5,
                0.0025)
        << distance;
  }
}

TEST(DropoutMaskTest, IsTheSameOnAnyNumberOfThreadsAndForEveryUse) {
  const DropoutMask mask(99, 0.3);
  const at::Tensor x = at::randn({kCount});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor alone = mask.apply(x);
  at::set_num_threads(2);
  EXPECT_TRUE(at::equal(mask.apply(x), alone));
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(x * mask.tensor_like(x), alone));
  at::Tensor sum = at::ones({kCount});
  mask.add_masked(sum, x);
  EXPECT_TRUE(at::allclose(sum, alone + 1, 1e-5, 1e-6));
}

TEST(DropoutMaskTest, OtherPrecisionsAndLayoutsHaveTheSameMask) {
  const DropoutMask mask(7, 0.5);
  const at::Tensor x = at::randn({64, 32});
  const at::Tensor wanted = mask.apply(x);
  EXPECT_TRUE(at::allclose(mask.apply(x.to(at::kDouble)).to(at::kFloat), wanted));
  const at::Tensor transposed = x.t().contiguous().t();
  EXPECT_TRUE(at::equal(mask.apply(transposed), wanted));
}

TEST(DropoutMaskTest, TheDefaultGeneratorsSeedReproducesIt) {
  at::manual_seed(3);
  const std::int64_t first = DropoutMask::draw(0.5).seed();
  EXPECT_NE(DropoutMask::draw(0.5).seed(), first);
  at::manual_seed(3);
  EXPECT_EQ(DropoutMask::draw(0.5).seed(), first);
}

}  // namespace
}  // namespace tenon
