#include "objectives/loss.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "support/error_matchers.h"

// The expected numbers are printed by make_loss_numbers.py.
namespace tenon {
namespace {

using ::testing::AllOf;
using testing::error_text;
using ::testing::HasSubstr;

at::Tensor sines(at::IntArrayRef sizes) {
  return at::sin(at::arange(c10::multiply_integers(sizes), at::kFloat)).reshape(sizes);
}

at::Tensor labels() { return at::tensor({2, 0, 1, 2}, at::kLong); }
at::Tensor tokens() { return at::tensor({1, 4, -100, 0, 3, 2}, at::kLong).reshape({2, 3}); }

double loss_of(const std::string& loss, const at::Tensor& output,
               const std::optional<at::Tensor>& target) {
  return compute_loss(loss, {output}, target).item<double>();
}

TEST(Loss, NllTakesLogProbabilities) {
  EXPECT_NEAR(loss_of("nll", at::log_softmax(sines({4, 3}), 1), labels()), 1.0817969, 1e-6);
}

TEST(Loss, CrossEntropyTakesScores) {
  EXPECT_NEAR(loss_of("cross_entropy", sines({4, 3}), labels()), 1.0817969, 1e-6);
}

TEST(Loss, CrossEntropyOfSequencesHasClassesLastAndIgnoresMinusHundred) {
  EXPECT_NEAR(loss_of("cross_entropy", sines({2, 3, 5}), tokens()), 1.4833069, 1e-6);
}

TEST(Loss, CrossEntropyOfImagesHasClassesInDimensionOne) {
  const at::Tensor classes = at::tensor({0, 1, 2, 0, 1, 1, 0, 2}, at::kLong).reshape({2, 2, 2});
  EXPECT_NEAR(loss_of("cross_entropy", sines({2, 3, 2, 2}), classes), 1.6709311, 1e-6);
}

TEST(Loss, MseTakesEqualShapesAndAColumnForAList) {
  const at::Tensor target = at::tensor({0.5F, 1.0F, 0.0F, -1.0F});
  EXPECT_NEAR(loss_of("mse", sines({4, 1}), target), 0.6010270, 1e-6);
  EXPECT_NEAR(loss_of("mse", sines({4, 1}), target.reshape({4, 1})), 0.6010270, 1e-6);
  EXPECT_NEAR(loss_of("mse", sines({4}), target.reshape({4, 1}).to(at::kDouble)), 0.6010270, 1e-6);
}

TEST(Loss, BinaryCrossEntropyTakesLogits) {
  const at::Tensor target = at::tensor({0.0F, 1.0F, 1.0F, 0.0F});
  EXPECT_NEAR(loss_of("bce_with_logits", sines({4, 1}), target), 0.5390609, 1e-6);
}

TEST(Loss, CausalLmJudgesEachPositionByTheNextToken) {
  EXPECT_NEAR(loss_of("causal_lm", sines({2, 3, 5}), tokens()), 2.3185856, 1e-6);
}

TEST(Loss, CausalLmSumsHalfPrecisionInSingle) {
  const at::Tensor loss = compute_loss("causal_lm", {sines({2, 3, 5}).to(at::kBFloat16)}, tokens());
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(loss.item<double>(), 2.3185856, 1e-2);
}

TEST(Loss, OutputIsTheFirstOutputItselfOneNumber) {
  const at::Tensor loss = sines({2, 3}).mean();
  EXPECT_EQ(compute_loss("output", {loss, sines({9})}, {}).item<double>(), loss.item<double>());
  EXPECT_THAT(error_text([] {
                compute_loss("output", {sines({2, 3})}, {});
              }),
              HasSubstr("takes the model's first output as the loss, one number; its shape is "
                        "[2, 3]"));
}

TEST(Loss, GradientReachesTheOutput) {
  const at::Tensor output = sines({4, 3}).requires_grad_();
  compute_loss("cross_entropy", {output}, labels()).backward();
  EXPECT_TRUE(output.grad().defined());
}

TEST(Loss, ClassOutOfRangeNamesItAndTheNumberOfClasses) {
  EXPECT_THAT(error_text([] {
                loss_of("cross_entropy", sines({4, 2}), labels());
              }),
              HasSubstr("the target holds class 2; the model's first output has 2 classes"));
  EXPECT_THAT(error_text([] {
                loss_of("nll", sines({4, 3}), labels() - 1);
              }),
              HasSubstr("the target holds class -1; the model's first output has 3 classes"));
}

TEST(Loss, MissingPartsAreNamed) {
  EXPECT_THAT(error_text([] { loss_of("mse", sines({4}), {}); }),
              HasSubstr("the loss mse needs a target"));
  EXPECT_THAT(error_text([] { compute_loss("mse", {}, sines({4})); }),
              HasSubstr("the loss mse needs an output; the model gives none"));
  EXPECT_THAT(error_text([] { loss_of("output", labels(), {}); }),
              HasSubstr("the first output is int64; the loss output needs floating-point numbers"));
}

struct Misfit {
  const char* name;
  const char* loss;
  std::vector<std::int64_t> output;
  std::vector<std::int64_t> target;
  const char* shapes;
};

class LossMisfit : public ::testing::TestWithParam<Misfit> {};

TEST_P(LossMisfit, NamesBothShapes) {
  const Misfit& misfit = GetParam();
  const std::string error = error_text(
      [&] { loss_of(misfit.loss, sines(misfit.output), at::zeros(misfit.target, at::kLong)); });
  EXPECT_THAT(error, AllOf(HasSubstr(misfit.loss), HasSubstr(misfit.shapes)));
}

INSTANTIATE_TEST_SUITE_P(
    Table, LossMisfit,
    ::testing::Values(
        Misfit{"Rows", "nll", {4, 3}, {3}, "of shape [4, 3], with the target, of shape [3]"},
        Misfit{"ColumnOfClasses", "cross_entropy", {4, 3}, {4, 1}, "of shape [4, 1]"},
        Misfit{"SequenceLength", "cross_entropy", {2, 3, 5}, {2, 4}, "of shape [2, 4]"},
        Misfit{"OneScore", "cross_entropy", {4}, {4}, "of shape [4], with"},
        Misfit{"Broadcast", "mse", {4, 2}, {4}, "of shape [4, 2]"},
        Misfit{"RowForColumn", "bce_with_logits", {4, 1}, {1, 4}, "of shape [1, 4]"},
        Misfit{"TwoDimensionalTokens", "causal_lm", {4, 3}, {4}, "of shape [4, 3]"},
        Misfit{"OneToken", "causal_lm", {4, 1, 3}, {4, 1}, "of shape [4, 1, 3]"}),
    [](const auto& test) { return test.param.name; });

TEST(CountCorrect, CountsTheHighestScoreAndLeavesIgnoredTargetsOut) {
  const auto classes = count_correct("cross_entropy", {sines({4, 3})}, labels());
  ASSERT_TRUE(classes.has_value());
  EXPECT_EQ(classes->correct, 2);
  EXPECT_EQ(classes->total, 4);
  const auto sequence = count_correct("cross_entropy", {sines({2, 3, 5})}, tokens());
  ASSERT_TRUE(sequence.has_value());
  EXPECT_EQ(sequence->correct, 2);
  EXPECT_EQ(sequence->total, 5);
}

TEST(CountCorrect, JudgesCausalLmByTheNextToken) {
  const at::Tensor next = at::tensor({9, 2, 4, 9, 0, 4}, at::kLong).reshape({2, 3});
  const auto accuracy = count_correct("causal_lm", {sines({2, 3, 5})}, next);
  ASSERT_TRUE(accuracy.has_value());
  const at::Tensor best = sines({2, 3, 5}).argmax(2).slice(1, 0, 2);
  EXPECT_EQ(accuracy->correct, best.eq(next.slice(1, 1)).sum().item<std::int64_t>());
  EXPECT_GT(accuracy->correct, 0);
  EXPECT_EQ(accuracy->total, 4);
}

TEST(CountCorrect, JudgesLogitsByTheirSign) {
  const auto accuracy = count_correct("bce_with_logits", {at::tensor({-1.0F, 2.0F, 3.0F})},
                                      at::tensor({0.0F, 1.0F, 0.0F}));
  ASSERT_TRUE(accuracy.has_value());
  EXPECT_EQ(accuracy->correct, 2);
  EXPECT_EQ(accuracy->total, 3);
}

TEST(CountCorrect, LossesThatDoNotClassifyHaveNone) {
  EXPECT_FALSE(count_correct("mse", {sines({4})}, sines({4})).has_value());
  EXPECT_FALSE(count_correct("output", {sines({4})}, {}).has_value());
}

}  // namespace
}  // namespace tenon
