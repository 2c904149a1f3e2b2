#include "train/loss_scale.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

namespace tenon {
namespace {

TrainConfig half(double scale = 65536, std::int64_t window = 2000) {
  TrainConfig config;
  config.autocast = "float16";
  config.loss_scale = scale;
  config.loss_scale_window = window;
  return config;
}

std::vector<at::Tensor> parameters_with_gradients(std::vector<at::Tensor> gradients) {
  std::vector<at::Tensor> parameters;
  for (at::Tensor& gradient : gradients) {
    parameters.push_back(at::zeros_like(gradient).requires_grad_());
    parameters.back().mutable_grad() = gradient;
  }
  return parameters;
}

TEST(LossScale, IsForAutocastInFloat16Alone) {
  EXPECT_TRUE(LossScale(half()).is_on());
  EXPECT_FALSE(LossScale(half(0)).is_on());
  EXPECT_FALSE(LossScale(TrainConfig()).is_on());
  TrainConfig other = half();
  other.autocast = "bfloat16";
  EXPECT_FALSE(LossScale(other).is_on());
}

TEST(LossScale, DividesGradientsOfEveryTypeAndSaysThatAllAreFinite) {
  const LossScale scale(half(8));
  const std::vector<at::Tensor> parameters =
      parameters_with_gradients({at::tensor({16.0F, -8.0F}), at::tensor({4.0F}).to(at::kHalf)});
  const at::Tensor overflow = scale.unscale(parameters);
  EXPECT_EQ(overflow.item<double>(), 0);
  EXPECT_TRUE(at::equal(parameters[0].grad(), at::tensor({2.0F, -1.0F})));
  EXPECT_TRUE(at::equal(parameters[1].grad(), at::tensor({0.5F}).to(at::kHalf)));
}

TEST(LossScale, TellsAGradientThatIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {infinity, -infinity, nan}) {
    const auto parameters =
        parameters_with_gradients({at::tensor({1.0F}), at::tensor({2.0F, bad})});
    EXPECT_GT(LossScale(half()).unscale(parameters).item<double>(), 0) << bad;
  }
  EXPECT_FALSE(LossScale(half()).unscale({at::zeros({1})}).defined());
}

// torch.amp.GradScaler: growth_factor 2, backoff_factor 0.5.
TEST(LossScale, IsHalvedByAnOverflowAndDoubledAfterAWindowWithoutOne) {
  LossScale scale(half(64, 3));
  scale.update(true);
  EXPECT_EQ(scale.value(), 32);
  scale.update(false);
  scale.update(false);
  EXPECT_EQ(scale.value(), 32);
  scale.update(true);  // the window begins anew
  EXPECT_EQ(scale.value(), 16);
  for (int i = 0; i < 3; ++i) scale.update(false);
  EXPECT_EQ(scale.value(), 32);
}

TEST(LossScale, GoesOnFromItsState) {
  LossScale scale(half(64, 3));
  scale.update(true);
  scale.update(false);
  scale.update(false);
  LossScale other(half(64, 3));
  other.restore(scale.state());
  other.update(false);
  EXPECT_EQ(other.value(), 64);
}

TEST(LossScale, DoesNotGrowBeyondFloats) {
  LossScale scale(half(3e38, 1));
  scale.update(false);
  EXPECT_EQ(scale.value(), 3e38F);
}

}  // namespace
}  // namespace tenon
