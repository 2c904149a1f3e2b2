#include "train/schedule.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "support/error_matchers.h"
#include "train/gradient_norm.h"

namespace tenon {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;

TrainConfig scheduled(const std::string& type, double warmup_steps = 0) {
  TrainConfig config;
  config.learning_rate = 0.1;
  config.schedule.type = type;
  config.schedule.warmup_steps = warmup_steps;
  return config;
}

std::vector<double> factors(const TrainConfig& config, std::int64_t steps) {
  const Schedule schedule(config, steps);
  std::vector<double> all;
  for (std::int64_t step = 1; step <= steps; ++step) all.push_back(schedule.factor(step));
  return all;
}

// All types over 1,000 steps against transformers: tests/parity/schedules_test.py.
TEST(Schedule, IsConstantUnlessSaidOtherwise) {
  EXPECT_THAT(factors(TrainConfig(), 3), ElementsAre(1, 1, 1));
}

TEST(Schedule, TheFirstStepOfAWarmupHasARateOfZero) {
  EXPECT_THAT(factors(scheduled("linear", 2), 4), ElementsAre(0, 0.5, 1, 0.5));
}

TEST(Schedule, AWarmupBelowOneIsAShareOfAllStepsRoundedUp) {
  EXPECT_EQ(steps_of_share(0.26, 10), 3);
  EXPECT_EQ(steps_of_share(3, 10), 3);
  EXPECT_EQ(factors(scheduled("linear", 0.26), 10), factors(scheduled("linear", 3), 10));
}

TEST(Schedule, AWarmupAndADecayThatDoNotFitAreAnError) {
  TrainConfig config = scheduled("warmup_stable_decay", 6);
  config.schedule.num_decay_steps = 5;
  EXPECT_THAT(error_text([&] { Schedule(config, 10); }),
              HasSubstr("[train] warmup_steps and num_decay_steps are 11 steps together, and the "
                        "training has 10"));
}

TEST(Plateau, LowersTheRateAfterPatienceAndWaitsForTheCooldown) {
  ScheduleConfig config;
  config.factor = 0.5;
  config.patience = 1;
  config.cooldown = 2;
  Plateau plateau(config);
  std::vector<double> rates;
  for (const double loss : {1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5}) {
    plateau.evaluated(loss);
    rates.push_back(plateau.rate(0.1));
  }
  EXPECT_THAT(rates, ElementsAre(0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025));
}

TEST(Plateau, GoesNoLowerThanItsLeastAndNotByLessThanEps) {
  ScheduleConfig config;
  config.patience = 0;
  config.min_lr = 0.005;
  config.eps = 1e-3;
  Plateau plateau(config);
  for (int i = 0; i < 5; ++i) plateau.evaluated(1);
  EXPECT_THAT(plateau.rate(0.1), DoubleEq(0.005));
  EXPECT_THAT(plateau.rate(0.0055), DoubleEq(0.0055));
}

TEST(Plateau, GoesOnFromItsState) {
  ScheduleConfig config;
  config.patience = 1;
  Plateau plateau(config);
  for (const double loss : {1.0, 2.0, 3.0, 4.0}) plateau.evaluated(loss);
  Plateau other(config);
  other.restore(plateau.state());
  plateau.evaluated(5);
  other.evaluated(5);
  EXPECT_EQ(plateau.state(), other.state());
  EXPECT_LT(other.rate(1), 0.011);
}

TEST(ClipGradients, ScalesAllTogetherToTheNorm) {
  const at::Tensor first = at::zeros({2}).requires_grad_();
  const at::Tensor second = at::zeros({1}, at::kDouble).requires_grad_();
  const at::Tensor idle = at::zeros({3}).requires_grad_();
  first.mutable_grad() = at::tensor({3.0F, 0.0F});
  second.mutable_grad() = at::tensor({4.0}, at::kDouble);
  const std::vector<at::Tensor> all = {first, second, idle};
  EXPECT_NEAR(gradient_norm(all).item<double>(), 5, 1e-6);
  clip_gradients(all, gradient_norm(all), 1);
  EXPECT_NEAR(first.grad()[0].item<double>(), 0.6, 1e-6);
  EXPECT_NEAR(second.grad()[0].item<double>(), 0.8, 1e-6);
  EXPECT_NEAR(gradient_norm(all).item<double>(), 1, 1e-6);
  clip_gradients(all, gradient_norm(all), 10);
  EXPECT_NEAR(first.grad()[0].item<double>(), 0.6, 1e-6);
  EXPECT_FALSE(gradient_norm({idle}).defined());
}

}  // namespace
}  // namespace tenon
