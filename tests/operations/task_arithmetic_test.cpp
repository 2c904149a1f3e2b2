// Of numbers that can be worked out by hand; against PEFT's own in parity/operations_test.py.
#include "operations/task_arithmetic.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "graph/parameter_init.h"

namespace tenon {
namespace {

at::Tensor row(std::vector<float> values) { return at::tensor(values); }

TEST(TaskArithmetic, LinearIsTheWeightedSum) {
  const at::Tensor sum =
      combine_tensors({.method = "linear", .density = 0.1}, {row({1, -4}), row({2, 3})}, {2, -1});
  EXPECT_TRUE(at::equal(sum, row({0, -11})));
}

TEST(TaskArithmetic, MagnitudePruneKeepsTheLargestOfEach) {
  const at::Tensor sum = combine_tensors({.method = "magnitude_prune", .density = 0.5},
                                         {row({1, -4, 3, 2}), row({-9, 1, 1.5, -8})}, {1, 10});
  EXPECT_TRUE(at::equal(sum, row({-90, -4, 3, -80})));
}

TEST(TaskArithmetic, TiesAverageWhatAgreesWithTheLargerSum) {
  const std::vector<at::Tensor> tensors{row({1, -2, 5}), row({3, 1, -1}), row({2, 0, -2})};
  EXPECT_TRUE(at::equal(combine_tensors({.method = "ties"}, tensors, {1, 1, 1}), row({2, -2, 5})));
}

TEST(TaskArithmetic, ByFrequencyTheSignOfMoreAdaptersWins) {
  const std::vector<at::Tensor> tensors{row({5}), row({-1}), row({-2})};
  EXPECT_TRUE(at::equal(
      combine_tensors({.method = "ties", .by_frequency = true}, tensors, {1, 1, 1}), row({-1.5})));
}

TEST(TaskArithmetic, DareKeepsAShareScaledUpAndTheSameForOneSeed) {
  const at::Tensor ones = at::ones({4000});
  const auto combined = [&](std::uint64_t seed) {
    return combine_tensors(
        {.method = "dare_linear", .density = 0.25, .generator = make_generator(seed)}, {ones}, {1});
  };
  const at::Tensor kept = combined(3);
  EXPECT_TRUE(at::all((kept == 0).logical_or(kept == 4)).item<bool>());
  EXPECT_NEAR((kept == 4).to(at::kFloat).mean().item<float>(), 0.25, 0.03);
  EXPECT_TRUE(at::equal(kept, combined(3)));
  EXPECT_FALSE(at::equal(kept, combined(4)));
}

}  // namespace
}  // namespace tenon
