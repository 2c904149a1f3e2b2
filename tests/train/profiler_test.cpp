#include "train/profiler.h"

#include <ATen/ops/mul.h>
#include <gmock/gmock.h>

#include "interpreter/named_scope.h"
#include "support/toy_task.h"

namespace tenon {
namespace {

using testing::line_data;
using testing::toy_config;
using testing::ToyTask;

const std::atomic<bool> kNeverStop{false};

// Two layers in one scope each, and one operator outside.
void train_two_layers(std::int64_t steps) {
  ToyTask toy;
  const auto layer = [&](const std::string& path, const at::Tensor& x) {
    const NamedScope scope(std::string(kLayerScope) + path);
    return at::linear(x, toy.weight, toy.bias);
  };
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool) {
    return std::vector<at::Tensor>{
        at::mul(layer("seq.0", inputs[0]) + layer("seq.1", inputs[0]), 0.5)};
  };
  TrainConfig config = toy_config("mse", 4);
  config.steps = steps;
  train(toy.task, line_data(8), config, {}, kNeverStop);
}

TEST(Profiler, CountsLayersByTitleWithTheGradientNodesThatTheyMade) {
  const Profiler profiler({{"seq.0", "Linear"}, {"seq.1", "Linear"}});
  train_two_layers(5);
  const StepProfile profile = profiler.profile();
  EXPECT_EQ(profile.steps, 5);
  ASSERT_EQ(profile.layers.size(), 1U);
  EXPECT_EQ(profile.layers[0].title, "Linear");
  EXPECT_EQ(profile.layers[0].calls, 2);
  EXPECT_GT(profile.layers[0].forward_ms, 0);
  EXPECT_GT(profile.layers[0].backward_ms, 0);
  EXPECT_GT(profile.base_forward_ms, 0);
  EXPECT_GT(profile.base_backward_ms, 0);  // of the sum and the product
}

TEST(Profiler, AccountsForTheWholeStep) {
  const Profiler profiler({});
  train_two_layers(3);
  const StepProfile profile = profiler.profile();
  double sum = profile.data_ms + profile.base_forward_ms + profile.base_backward_ms +
               profile.loss_ms + profile.optimizer_ms + profile.other_ms;
  for (const StepProfile::LayerType& layer : profile.layers) {
    sum += layer.forward_ms + layer.backward_ms;
  }
  EXPECT_NEAR(sum, profile.step_ms, 1e-9);
  EXPECT_GE(profile.other_ms, 0);
  EXPECT_EQ(profile.layers.size(), 2U);  // without a title, by path
}

TEST(Profiler, SeesNothingOutsideStepsAndNothingAfterItsEnd) {
  { const Profiler profiler({}); }
  train_two_layers(1);
  const Profiler profiler({});
  { const NamedScope scope(std::string(kLayerScope) + "seq.0"); }
  EXPECT_EQ(profiler.profile().steps, 0);
  EXPECT_TRUE(profiler.profile().layers.empty());
}

}  // namespace
}  // namespace tenon
