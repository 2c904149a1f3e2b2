#include "train/trainer.h"

#include <ATen/core/grad_mode.h>

#include "objectives/loss.h"
#include "support/error_matchers.h"
#include "support/toy_task.h"

namespace tenon {
namespace {

using testing::error_text;
using ::testing::HasSubstr;
using testing::line_data;
using testing::toy_config;
using testing::toy_input;
using testing::ToyTask;

// Scores are the inputs themselves.
TrainingTask identity() {
  return {.forward = [](const std::vector<at::Tensor>& inputs, bool) { return inputs; },
          .parameters = {},
          .inputs = {toy_input()}};
}

Dataset class_data(std::int64_t rows) {
  Dataset data = line_data(rows);
  data.target = at::arange(rows, at::kLong).remainder(2);
  return data;
}

TEST(Evaluate, WeighsAShorterLastBatchByItsRows) {
  ToyTask toy;
  const Dataset data = line_data(10);
  const double whole = data.target->pow(2).mean().item<double>();
  const Evaluation evaluation = evaluate(toy.task, data, toy_config("mse", 4));
  EXPECT_NEAR(evaluation.loss, whole, 1e-6);
  EXPECT_FALSE(evaluation.accuracy.has_value());
}

TEST(Evaluate, AccuracyIsOverAllRows) {
  const Dataset data = class_data(10);
  const auto whole = count_correct("cross_entropy", data.inputs, data.target);
  ASSERT_TRUE(whole.has_value());
  const Evaluation evaluation = evaluate(identity(), data, toy_config("cross_entropy", 3));
  ASSERT_TRUE(evaluation.accuracy.has_value());
  EXPECT_DOUBLE_EQ(*evaluation.accuracy, static_cast<double>(whole->correct) / 10);
  EXPECT_NEAR(evaluation.loss,
              compute_loss("cross_entropy", data.inputs, data.target).item<double>(), 1e-6);
}

TEST(Evaluate, WeighsByJudgedTargetsAndSkipsBatchesThatHaveNone) {
  Dataset data = class_data(9);
  data.target->narrow(0, 3, 4).fill_(-100);
  const Evaluation evaluation = evaluate(identity(), data, toy_config("cross_entropy", 3));
  EXPECT_NEAR(evaluation.loss,
              compute_loss("cross_entropy", data.inputs, data.target).item<double>(), 1e-6);
}

TEST(Evaluate, RunsInEvalModeWithoutGradients) {
  ToyTask toy;
  bool training_seen = true, grad_seen = true;
  const auto forward = toy.task.forward;
  toy.task.forward = [&](const std::vector<at::Tensor>& inputs, bool training) {
    training_seen = training;
    grad_seen = at::GradMode::is_enabled();
    return forward(inputs, training);
  };
  evaluate(toy.task, line_data(4), toy_config("mse", 32));
  EXPECT_FALSE(training_seen);
  EXPECT_FALSE(grad_seen);
}

TEST(Evaluate, FixedBatchLeavesTheRestOut) {
  ToyTask toy;
  toy.task.inputs = {toy_input(4)};
  const Dataset data = line_data(10);
  const double eight = data.target->narrow(0, 0, 8).pow(2).mean().item<double>();
  EXPECT_NEAR(evaluate(toy.task, data, toy_config("mse", 4)).loss, eight, 1e-6);
}

TEST(Evaluate, DatasetWithoutRowsIsAnError) {
  ToyTask toy;
  EXPECT_THAT(error_text([&] { evaluate(toy.task, line_data(0), toy_config("mse", 32)); }),
              HasSubstr("the data have no rows"));
}

}  // namespace
}  // namespace tenon
