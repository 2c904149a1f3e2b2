#include "objectives/cross_entropy.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <limits>

namespace tenon {
namespace {

at::Tensor of_libtorch(const at::Tensor& scores, const at::Tensor& target) {
  return at::cross_entropy_loss(scores, target, {}, at::Reduction::Mean, kIgnoredClass);
}

// Loss and gradient of both, on equal leaves.
void expect_equal_to_libtorch(const at::Tensor& scores, const at::Tensor& target,
                              double tolerance) {
  const at::Tensor ours = scores.clone().requires_grad_();
  const at::Tensor theirs = scores.clone().requires_grad_();
  const at::Tensor loss = cross_entropy(ours, target);
  const at::Tensor expected = of_libtorch(theirs, target);
  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), tolerance);
  (loss * 3).backward();
  (expected * 3).backward();
  EXPECT_TRUE(at::allclose(ours.grad(), theirs.grad(), 1e-5, tolerance));
}

TEST(CrossEntropyTest, LossAndGradientAreLibTorchs) {
  at::manual_seed(1);
  expect_equal_to_libtorch(at::randn({7, 5}, at::kDouble), at::randint(5, {7}), 1e-12);
}

TEST(CrossEntropyTest, ManyBlocksAreAsOne) {
  at::manual_seed(2);
  expect_equal_to_libtorch(at::randn({300, 5000}) * 4, at::randint(5000, {300}), 1e-5);
}

TEST(CrossEntropyTest, IgnoredRowsCountNothingAndGetNoGradient) {
  at::manual_seed(3);
  at::Tensor target = at::randint(4, {6});
  target[1] = kIgnoredClass;
  target[4] = kIgnoredClass;
  const at::Tensor scores = at::randn({6, 4}).requires_grad_();
  expect_equal_to_libtorch(scores.detach(), target, 1e-6);
  cross_entropy(scores, target).backward();
  EXPECT_EQ(scores.grad()[1].abs().sum().item<float>(), 0);
}

TEST(CrossEntropyTest, WithNothingToJudgeTheLossIsNanAsLibTorchs) {
  const at::Tensor target = at::full({3}, kIgnoredClass, at::kLong);
  EXPECT_TRUE(std::isnan(cross_entropy(at::randn({3, 2}), target).item<double>()));
  EXPECT_TRUE(std::isnan(of_libtorch(at::randn({3, 2}), target).item<double>()));
}

TEST(CrossEntropyTest, ExtremeScoresNeitherOverflowNorVanish) {
  const at::Tensor scores = at::tensor({1e4F, -1e4F, 0.0F, 5.0F}).reshape({2, 2});
  expect_equal_to_libtorch(scores, at::tensor({1, 0}, at::kLong), 1e-3);
}

TEST(CrossEntropyTest, HalfPrecisionIsSummedInFloat) {
  at::manual_seed(4);
  const at::Tensor scores = at::randn({20, 3000}).to(at::kBFloat16);
  const at::Tensor target = at::randint(3000, {20});
  const at::Tensor loss = cross_entropy(scores, target);
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(loss.item<double>(), of_libtorch(scores.to(at::kFloat), target).item<double>(), 1e-5);
}

TEST(CrossEntropyTest, ASecondDerivativeIsRefused) {
  const at::Tensor scores = at::randn({3, 2}).requires_grad_();
  const at::Tensor loss = cross_entropy(scores, at::zeros({3}, at::kLong));
  EXPECT_THROW(torch::autograd::grad({loss}, {scores}, {}, std::nullopt, /*create_graph=*/true),
               c10::Error);
}

TEST(CrossEntropyTest, AClassOutOfRangeIsRefused) {
  EXPECT_THROW(cross_entropy(at::randn({1, 2}), at::full({1}, 2, at::kLong)), c10::Error);
}

TEST(CrossEntropyTest, WithNothingToJudgeTheGradientIsZeroAsLibTorchs) {
  const at::Tensor target = at::full({3}, kIgnoredClass, at::kLong);
  const auto gradient = [&](const auto& loss) {
    const at::Tensor scores = at::randn({3, 2}).requires_grad_();
    loss(scores, target).backward();
    return scores.grad();
  };
  EXPECT_TRUE(at::equal(gradient(cross_entropy), at::zeros({3, 2})));
  EXPECT_TRUE(at::equal(gradient(of_libtorch), at::zeros({3, 2})));
}

TEST(CrossEntropyTest, AnIgnoredRowOfInfiniteScoresGetsNoGradient) {
  at::Tensor scores = at::randn({3, 4});
  scores[1].fill_(std::numeric_limits<float>::infinity());
  scores.requires_grad_();
  const at::Tensor target = at::tensor({0, -100, 3}, at::kLong);
  const at::Tensor loss = cross_entropy(scores, target);
  EXPECT_TRUE(std::isfinite(loss.item<double>()));
  loss.backward();
  EXPECT_TRUE(at::equal(scores.grad()[1], at::zeros({4})));
  EXPECT_TRUE(scores.grad().isfinite().all().item<bool>());
}

}  // namespace
}  // namespace tenon
