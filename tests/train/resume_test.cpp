// A training that goes on from a checkpoint gives every number that an uninterrupted one gives.
#include <ATen/ops/dropout.h>
#include <ATen/ops/equal.h>

#include <map>

#include "support/error_matchers.h"
#include "support/toy_task.h"
#include "train/cadence.h"
#include "train/training_state.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::line_data;
using testing::toy_config;
using testing::ToyTask;

const std::atomic<bool> kNoStopHere{false};

// A copy, as a file would hold it.
TrainingState copy_of(const TrainingState& state) {
  TrainingState copy = state;
  for (auto& [name, tensor] : copy.tensors) tensor = tensor.clone();
  return copy;
}

// With dropout, so that random numbers are drawn.
struct DropoutTask : ToyTask {
  at::Tensor seen = at::zeros({1});  // as running statistics
  DropoutTask() {
    task.forward = [this](const std::vector<at::Tensor>& inputs, bool training) {
      if (training) seen += inputs[0].sum();
      return std::vector<at::Tensor>{
          at::linear(at::dropout(inputs[0], 0.5, training), weight, bias)};
    };
    task.buffers = {seen};
  }
};

struct ResumeCase {
  const char* name;
  void (*set)(TrainConfig& c);
};

class Resume : public ::testing::TestWithParam<ResumeCase> {};

TEST_P(Resume, GivesWhatOneRunGives) {
  TrainConfig config = toy_config("mse", 4);
  config.steps = 13;
  config.seed = 3;
  GetParam().set(config);
  const Dataset data = line_data(30);
  std::map<std::int64_t, TrainingState> saved;
  TrainingEvents events;
  events.save_steps = StepInterval{.steps = 3};
  events.evaluate = [](std::int64_t step, double) {
    return Measures{{"loss", step < 5 ? 1.0 : 2.0}};
  };
  DropoutTask whole;
  events.save = [&](const TrainingState& state) { saved[state.step] = copy_of(state); };
  const TrainingResult wanted = train(whole.task, data, config, events, kNoStopHere);
  ASSERT_EQ(saved.size(), 5U);  // and one after the last step

  for (const auto& [step, state] : saved) {
    SCOPED_TRACE("step " + std::to_string(step));
    DropoutTask toy;
    at::rand({7});  // whatever was drawn meanwhile
    const TrainingResult found = train(toy.task, data, config, events, kNoStopHere, &state);
    EXPECT_EQ(found.losses, wanted.losses);
    EXPECT_EQ(found.learning_rates, wanted.learning_rates);
    EXPECT_EQ(found.grad_norms, wanted.grad_norms);
    EXPECT_EQ(found.steps, wanted.steps);
    EXPECT_TRUE(at::equal(toy.weight, whole.weight));
    EXPECT_TRUE(at::equal(toy.bias, whole.bias));
    EXPECT_TRUE(at::equal(toy.seen, whole.seen));
    EXPECT_EQ(found.best, wanted.best);
    EXPECT_TRUE(found.has_moved);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, Resume,
    ::testing::Values(ResumeCase{"Sgd", [](TrainConfig&) {}},
                      ResumeCase{"Momentum",
                                 [](TrainConfig& c) {
                                   c.momentum = 0.9;
                                   c.learning_rate = 0.1;
                                 }},
                      ResumeCase{"Adam", [](TrainConfig& c) { c.optimizer = "adam"; }},
                      ResumeCase{"AdamWAmsgrad",
                                 [](TrainConfig& c) {
                                   c.optimizer = "adamw";
                                   c.amsgrad = true;
                                 }},
                      ResumeCase{"Accumulation",
                                 [](TrainConfig& c) { c.gradient_accumulation_steps = 3; }},
                      ResumeCase{"CosineAndClipping",
                                 [](TrainConfig& c) {
                                   c.schedule.type = "cosine";
                                   c.schedule.warmup_steps = 4;
                                   c.max_grad_norm = 0.3;
                                 }},
                      ResumeCase{"PlateauAndBest",
                                 [](TrainConfig& c) {
                                   c.schedule.type = "reduce_lr_on_plateau";
                                   c.schedule.patience = 1;
                                   c.eval_steps = StepInterval{.steps = 2};
                                 }},
                      ResumeCase{"InOrder", [](TrainConfig& c) { c.shuffle = false; }}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Resume, AnEvaluationChangesNoNumberOfTheTraining) {
  const auto losses = [](std::optional<StepInterval> eval_steps) {
    DropoutTask toy;
    TrainConfig config = toy_config("mse", 4);
    config.steps = 6;
    config.eval_steps = eval_steps;
    TrainingEvents events;
    events.evaluate = [](std::int64_t, double) {
      return Measures{{"loss", at::rand({1}).item<double>()}};
    };
    return train(toy.task, line_data(20), config, events, kNoStopHere).losses;
  };
  EXPECT_EQ(losses(std::nullopt), losses(StepInterval{.steps = 1}));
}

TEST(Resume, AStopSavesWhereverItIs) {
  ToyTask toy;
  TrainConfig config = toy_config("mse", 4);
  config.steps = 6;
  std::atomic<bool> stop{false};
  std::vector<std::int64_t> saved;
  TrainingEvents events;
  events.step = [&](const StepProgress& progress) { stop = progress.step == 4; };
  events.save = [&](const TrainingState& state) { saved.push_back(state.step); };
  EXPECT_TRUE(train(toy.task, line_data(20), config, events, stop).interrupted);
  EXPECT_EQ(saved, std::vector<std::int64_t>{4});
}

TEST(Resume, PatienceEndsTheTrainingAndTheBestStepIsTold) {
  ToyTask toy;
  TrainConfig config = toy_config("mse", 4);
  config.steps = 20;
  config.eval_steps = StepInterval{.steps = 2};
  config.early_stopping_patience = 2;
  config.load_best_model_at_end = true;
  std::vector<std::int64_t> saved;
  TrainingEvents events;
  events.evaluate = [](std::int64_t step, double) {
    return Measures{{"loss", step == 4 ? 0.5 : 1.0}};
  };
  events.save = [&](const TrainingState& state) { saved.push_back(state.step); };
  const TrainingResult result = train(toy.task, line_data(20), config, events, kNoStopHere);
  EXPECT_TRUE(result.stopped_early);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.steps, 8);
  EXPECT_EQ(result.best.step, 4);
  EXPECT_EQ(saved, (std::vector<std::int64_t>{2, 4}));  // each was the best when it was measured
}

TEST(Resume, AStateOfOtherParametersIsRefused) {
  ToyTask toy;
  TrainingState state;
  TrainingEvents events;
  events.save = [&](const TrainingState& now) { state = copy_of(now); };
  events.save_steps = StepInterval{.steps = 1};
  TrainConfig config = toy_config("mse", 4);
  config.steps = 1;
  train(toy.task, line_data(20), config, events, kNoStopHere);
  ToyTask other;
  other.task.parameters = {other.weight};
  EXPECT_THAT(
      error_text([&] { train(other.task, line_data(20), config, {}, kNoStopHere, &state); }),
      HasSubstr("the training's state has 2 parameters, the model 1"));
}

TEST(Cadence, IsOfStepsOfAShareOrOfEpochs) {
  const auto due = [](std::optional<StepInterval> interval) {
    const Cadence cadence(interval, 10, 4);
    std::vector<std::int64_t> steps;
    for (std::int64_t step = 1; step <= 10; ++step) {
      if (cadence.is_due(step)) steps.push_back(step);
    }
    return steps;
  };
  using Steps = std::vector<std::int64_t>;
  EXPECT_EQ(due(std::nullopt), Steps{});
  EXPECT_EQ(due(StepInterval{.steps = 3}), (Steps{3, 6, 9}));
  EXPECT_EQ(due(StepInterval{.steps = 0.31}), (Steps{4, 8}));
  EXPECT_EQ(due(StepInterval{.per_epoch = true}), (Steps{4, 8}));
}

TEST(BestValue, GoesByItsMeasureAndCountsWhatIsNoBetterThanTheThreshold) {
  TrainConfig config;
  config.metric_for_best_model = "eval_accuracy";
  config.early_stopping_patience = 2;
  config.early_stopping_threshold = 0.1;
  BestValue best(config);
  EXPECT_TRUE(best.evaluated({{"accuracy", 0.5}}, 1));
  EXPECT_TRUE(best.evaluated({{"accuracy", 0.55}}, 2));  // better, by less than the threshold
  EXPECT_EQ(best.state().worse, 1);
  EXPECT_TRUE(best.evaluated({{"accuracy", 0.8}}, 3));
  EXPECT_FALSE(best.is_enough());
  EXPECT_FALSE(best.evaluated({{"accuracy", 0.8}}, 4));
  EXPECT_FALSE(best.evaluated({{"accuracy", 0.7}}, 5));
  EXPECT_TRUE(best.is_enough());
  EXPECT_EQ(best.state().step, 3);
  EXPECT_THAT(error_text([&] {
                best.evaluated({{"loss", 1}}, 6);
              }),
              HasSubstr("metric_for_best_model is `accuracy`, which no evaluation measures"));
  config.metric_for_best_model = "rmse";
  EXPECT_TRUE(BestValue(config).evaluated({{"rmse", 3}}, 1));
  BestValue errors(config);
  errors.evaluated({{"rmse", 3}}, 1);
  EXPECT_TRUE(errors.evaluated({{"rmse", 2}}, 2));
}

}  // namespace
}  // namespace tenon
