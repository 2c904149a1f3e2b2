#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>

#include <limits>

#include "graph/size_expression.h"
#include "support/error_matchers.h"
#include "support/toy_task.h"

namespace tenon {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::Le;
using testing::line_data;
using ::testing::Pointwise;
using testing::toy_config;
using testing::toy_input;
using testing::ToyTask;

const std::atomic<bool> kNoStop{false};

TrainConfig sgd(std::int64_t epochs) {
  TrainConfig config = toy_config("mse", 8);
  config.epochs = epochs;
  return config;
}

TEST(Train, LearnsALine) {
  ToyTask toy;
  const TrainingResult result = train(toy.task, line_data(32), sgd(200), {}, kNoStop);
  EXPECT_EQ(result.steps, 800);
  EXPECT_EQ(result.losses.size(), 800U);
  EXPECT_NEAR(toy.weight[0][0].item<float>(), 2, 1e-3);
  EXPECT_NEAR(toy.weight[0][1].item<float>(), -1, 1e-3);
  EXPECT_NEAR(toy.bias[0].item<float>(), 0.5, 1e-3);
  EXPECT_GT(result.step_ms_min, 0);
  EXPECT_LE(result.step_ms_min, result.step_ms_median);
  EXPECT_LE(result.step_ms_median, result.step_ms_max);
  EXPECT_FALSE(result.interrupted);
  EXPECT_FALSE(result.not_finite_step.has_value());
}

TEST(Train, IsOneEpochUnlessEpochsOrStepsAreGiven) {
  ToyTask toy;
  TrainConfig config = sgd(3);
  EXPECT_EQ(train(toy.task, line_data(20), config, {}, kNoStop).steps, 9);
  config.epochs.reset();
  EXPECT_EQ(train(toy.task, line_data(20), config, {}, kNoStop).steps, 3);
  config.steps = 7;
  EXPECT_EQ(train(toy.task, line_data(20), config, {}, kNoStop).steps, 7);
}

TEST(Train, AStepOfSeveralBatchesIsThatOfTheirRowsTogether) {
  const auto trained = [](std::int64_t batch_size, std::int64_t together) {
    ToyTask toy;
    TrainConfig config = sgd(3);
    config.batch_size = batch_size;
    config.gradient_accumulation_steps = together;
    const TrainingResult result = train(toy.task, line_data(20), config, {}, kNoStop);
    return std::pair(result.losses, toy.weight[0][0].item<double>());
  };
  const auto [wanted_losses, wanted] = trained(8, 1);
  const auto [losses, weight] = trained(4, 2);
  EXPECT_THAT(losses, Pointwise(DoubleNear(1e-6), wanted_losses));
  EXPECT_NEAR(weight, wanted, 1e-6);
  // A step does not reach into the next epoch: 20 rows are steps of 18 and 2.
  EXPECT_EQ(trained(3, 6).first.size(), 6U);
}

TEST(Train, SameSeedGivesTheSameLosses) {
  const auto losses = [](std::uint64_t seed) {
    ToyTask toy;
    toy.task.forward = [&toy](const std::vector<at::Tensor>& inputs, bool training) {
      const at::Tensor x = at::dropout(inputs[0], 0.5, training);
      return std::vector<at::Tensor>{at::linear(x, toy.weight, toy.bias)};
    };
    TrainConfig config = sgd(2);
    config.seed = seed;
    return train(toy.task, line_data(20), config, {}, kNoStop).losses;
  };
  EXPECT_EQ(losses(1), losses(1));
  EXPECT_NE(losses(1), losses(2));
}

TEST(Train, ReportsProgressAfterEveryStep) {
  ToyTask toy;
  std::vector<std::int64_t> steps, planned;
  std::vector<double> losses;
  TrainingEvents events;
  events.step = [&](const StepProgress& progress) {
    steps.push_back(progress.step);
    planned.push_back(progress.steps);
    losses.push_back(progress.loss);
  };
  const TrainingResult result = train(toy.task, line_data(20), sgd(1), events, kNoStop);
  EXPECT_THAT(steps, ElementsAre(1, 2, 3));
  EXPECT_THAT(planned, Each(3));
  EXPECT_EQ(losses, result.losses);
}

TEST(Train, FixedBatchLeavesTheShorterLastBatchOutAndCountsIt) {
  ToyTask toy;
  toy.task.inputs = {toy_input(8)};
  std::vector<std::int64_t> sizes;
  const auto forward = toy.task.forward;
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool training) {
    sizes.push_back(inputs[0].size(0));
    return forward(inputs, training);
  };
  const TrainingResult result = train(toy.task, line_data(20), sgd(2), {}, kNoStop);
  EXPECT_THAT(sizes, ElementsAre(8, 8, 8, 8, 8));  // and once more after the last update
  EXPECT_EQ(result.rows_left_out, 4);
  TrainConfig config = sgd(1);
  config.batch_size = 32;
  EXPECT_THAT(error_text([&] { train(toy.task, line_data(20), config, {}, kNoStop); }),
              HasSubstr("dimension 0 of `x` was fixed to 8"));
}

TEST(Train, StopFinishesTheStepAndLeavesTheRestOut) {
  ToyTask toy;
  std::atomic<bool> stop{false};
  TrainingEvents stop_at_two;
  stop_at_two.step = [&](const StepProgress& progress) { stop = progress.step == 2; };
  const TrainingResult result = train(toy.task, line_data(20), sgd(5), stop_at_two, stop);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.steps, 2);
}

TEST(Train, StopAtTheLastStepIsNoInterruption) {
  ToyTask toy;
  const std::atomic<bool> stop{true};
  TrainConfig config = sgd(1);
  config.steps = 1;
  EXPECT_FALSE(train(toy.task, line_data(20), config, {}, stop).interrupted);
}

TEST(Train, LossThatIsNotFiniteTakesBackTheUpdateThatBroughtIt) {
  ToyTask toy;
  TrainConfig config = sgd(1);
  config.shuffle = false;
  at::Tensor before_last_update;
  int calls = 0;
  const auto forward = toy.task.forward;
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool training) {
    if (++calls == 2) before_last_update = toy.weight.detach().clone();
    std::vector<at::Tensor> outputs = forward(inputs, training);
    if (calls == 3) outputs[0] = outputs[0] * std::numeric_limits<float>::quiet_NaN();
    return outputs;
  };
  const TrainingResult result = train(toy.task, line_data(40), config, {}, kNoStop);
  EXPECT_EQ(result.not_finite_step, 3);
  EXPECT_EQ(result.steps, 2);
  EXPECT_THAT(result.losses, Each(Le(10.0)));
  EXPECT_TRUE(at::equal(toy.weight.detach(), before_last_update));
}

TEST(Train, DivergenceLeavesFiniteParameters) {
  ToyTask toy;
  TrainConfig config = sgd(100);
  config.learning_rate = 1e10;
  const TrainingResult result = train(toy.task, line_data(20), config, {}, kNoStop);
  EXPECT_TRUE(result.not_finite_step.has_value());
  EXPECT_TRUE(toy.weight.isfinite().all().item<bool>());
}

TEST(Train, LastUpdateThatIsNotFiniteIsTakenBack) {
  ToyTask toy;
  TrainConfig config = sgd(1);
  config.steps = 1;
  config.learning_rate = std::numeric_limits<float>::max();
  config.learning_rate *= 4;
  const TrainingResult result = train(toy.task, line_data(20), config, {}, kNoStop);
  EXPECT_EQ(result.not_finite_step, 1);
  EXPECT_TRUE(at::equal(toy.weight.detach(), at::zeros({1, 2})));
}

TEST(Train, BuffersThatTheForwardSpoiledAreTakenBack) {
  ToyTask toy;
  const at::Tensor statistics = at::zeros({1});
  toy.task.buffers = {statistics};
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool) {
    statistics.fill_(std::numeric_limits<float>::infinity());
    return std::vector<at::Tensor>{at::linear(inputs[0], toy.weight, toy.bias) * statistics};
  };
  EXPECT_EQ(train(toy.task, line_data(20), sgd(1), {}, kNoStop).not_finite_step, 1);
  EXPECT_EQ(statistics.item<float>(), 0.0F);
}

TEST(Train, SaysThatTheLossReachesNoTrainedParameter) {
  ToyTask toy;
  toy.task.forward = [](const std::vector<at::Tensor>& inputs, bool) {
    return std::vector<at::Tensor>{inputs[0].select(1, 0)};
  };
  EXPECT_THAT(error_text([&] { train(toy.task, line_data(20), sgd(1), {}, kNoStop); }),
              HasSubstr("the loss depends on no trained parameter"));
  const at::Tensor other = at::zeros({1}).requires_grad_();
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool) {
    return std::vector<at::Tensor>{inputs[0].select(1, 0) + other};
  };
  EXPECT_THAT(error_text([&] { train(toy.task, line_data(20), sgd(1), {}, kNoStop); }),
              HasSubstr("no trained parameter got a gradient"));
}

TEST(Train, DatasetWithoutRowsIsAnError) {
  ToyTask toy;
  EXPECT_THAT(error_text([&] { train(toy.task, line_data(0), sgd(1), {}, kNoStop); }),
              HasSubstr("line.csv: the data have no rows"));
}

TEST(Train, UsesTheThreadsOfTheConfig) {
  const int before = at::get_num_threads();
  ToyTask toy;
  TrainConfig config = sgd(1);
  config.threads = before == 1 ? 2 : 1;
  train(toy.task, line_data(8), config, {}, kNoStop);
  EXPECT_EQ(at::get_num_threads(), config.threads);
  at::set_num_threads(before);
}

// Two classes by the sign of y.
Dataset class_rows(std::int64_t rows) {
  Dataset data = line_data(rows);
  data.target = (*data.target > 0.5).to(at::kLong);
  data.target_name = "labels";
  return data;
}

struct ClassTask : ToyTask {
  at::Tensor scores = at::zeros({2, 2}).requires_grad_();
  ClassTask() {
    task.forward = [this](const std::vector<at::Tensor>& inputs, bool) {
      return std::vector<at::Tensor>{at::linear(inputs[0], scores)};
    };
    task.parameters = {scores};
  }
};

TrainConfig class_config(std::int64_t batch_size) {
  TrainConfig config = toy_config("cross_entropy", batch_size);
  config.shuffle = false;
  config.epochs = 2;
  return config;
}

TEST(Train, SkipsABatchWithoutAnyLabelAndCountsIt) {
  ClassTask toy;
  Dataset data = class_rows(4);
  data.target->narrow(0, 2, 1).fill_(-100);
  const TrainingResult result = train(toy.task, data, class_config(1), {}, kNoStop);
  EXPECT_EQ(result.batches_skipped, 2);
  EXPECT_EQ(result.steps, 6);
  EXPECT_EQ(result.losses.size(), 6U);
  EXPECT_FALSE(result.not_finite_step.has_value());
}

TEST(Train, DataWithoutAnyLabelAreAnError) {
  ClassTask toy;
  Dataset data = class_rows(4);
  data.target->fill_(-100);
  EXPECT_THAT(error_text([&] { train(toy.task, data, class_config(2), {}, kNoStop); }),
              HasSubstr("line.csv: no label of the data is judged"));
  EXPECT_THAT(error_text([&] { evaluate(toy.task, data, class_config(2)); }),
              HasSubstr("no label of the data is judged"));
}

TEST(Train, AClassThatIsNoneIsToldBeforeTheFirstUpdate) {
  ClassTask toy;
  Dataset data = class_rows(8);
  data.target->narrow(0, 6, 1).fill_(5);
  EXPECT_THAT(error_text([&] { train(toy.task, data, class_config(2), {}, kNoStop); }),
              HasSubstr("the target `labels` holds class 5 in row 6; the model's first output has "
                        "2 classes, counted from 0"));
  EXPECT_TRUE(at::equal(toy.scores.detach(), at::zeros({2, 2})));
}

TEST(Train, AFailureAfterTheFirstStepKeepsWhatWasTrainedAndNamesTheRow) {
  ToyTask toy;
  const auto forward = toy.task.forward;
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool training) {
    if (inputs[0].max().item<float>() > 50) {
      throw Error({.stage = Stage::kModel, .message = "the operator cannot run on this input"});
    }
    return forward(inputs, training);
  };
  Dataset data = line_data(40);
  data.inputs[0].select(0, 21).fill_(100);
  TrainConfig config = sgd(1);
  config.shuffle = false;
  const TrainingResult result = train(toy.task, data, config, {}, kNoStop);
  ASSERT_TRUE(result.failure.has_value());
  EXPECT_THAT(result.failure->what(),
              HasSubstr("line.csv: row 21: the operator cannot run on this input"));
  EXPECT_EQ(result.steps, 2);
  EXPECT_FALSE(at::equal(toy.weight.detach(), at::zeros({1, 2})));
}

TEST(Train, SaysWhetherAnythingMoved) {
  ToyTask toy;
  EXPECT_TRUE(train(toy.task, line_data(8), sgd(1), {}, kNoStop).has_moved);
  const at::Tensor still = at::zeros({1}).requires_grad_();
  toy.task.parameters = {still};
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool) {
    return std::vector<at::Tensor>{inputs[0].select(1, 0) + still * 0};
  };
  EXPECT_FALSE(train(toy.task, line_data(8), sgd(1), {}, kNoStop).has_moved);
}

TEST(Train, ALossThatTheLastUpdateBrokeIsToldThoughItsParametersAreFinite) {
  ToyTask toy;
  const auto forward = toy.task.forward;
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool training) {
    std::vector<at::Tensor> outputs = forward(inputs, training);
    outputs[0] = outputs[0] * 1e30;
    return outputs;
  };
  TrainConfig config = sgd(1);
  config.steps = 1;
  config.learning_rate = 1e-20;
  const TrainingResult result = train(toy.task, line_data(8), config, {}, kNoStop);
  EXPECT_EQ(result.not_finite_step, 1);
  EXPECT_TRUE(at::equal(toy.weight.detach(), at::zeros({1, 2})));
}

TEST(Train, ABatchThatTheProgramsGuardsRuleOutIsLeftOutOrToldFirst) {
  ToyTask toy;
  toy.task.guards = {*SizeExpression::parse("L['x'].size()[0] % 2 == 0")};
  toy.task.inputs[0].argument_name = "x";
  const TrainingResult result = train(toy.task, line_data(11), sgd(1), {}, kNoStop);
  EXPECT_EQ(result.rows_left_out, 3);
  EXPECT_EQ(result.steps, 1);
  TrainConfig config = sgd(1);
  config.batch_size = 5;
  EXPECT_THAT(error_text([&] { train(toy.task, line_data(11), config, {}, kNoStop); }),
              HasSubstr("the program takes no batch of 5 rows"));
  EXPECT_EQ(evaluate(toy.task, line_data(11), sgd(1)).rows_left_out, 3);
}

}  // namespace
}  // namespace tenon
