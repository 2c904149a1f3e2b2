#include "start/layer_inputs.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tenon {
namespace {

std::vector<InputSpec> inputs_named(const std::vector<std::string>& names) {
  std::vector<InputSpec> inputs;
  for (const std::string& name : names) inputs.emplace_back().name = name;
  return inputs;
}

const at::Tensor kMask = at::tensor({1, 1, 0, 1, 0, 0}, at::kLong).reshape({2, 3});

TEST(UsedPositions, AreThoseOfTheAttentionMask) {
  const Batch batch{{at::zeros({2, 3}, at::kLong), kMask}, std::nullopt};
  const auto used = used_positions(inputs_named({"input_ids", "attention_mask"}), batch, -100);
  EXPECT_TRUE(used.equal(kMask == 1));
}

TEST(UsedPositions, AreLabelledWhereEachPositionHasALabel) {
  const at::Tensor labels = at::tensor({5, -100, 5, 5, 5, 5}, at::kLong).reshape({2, 3});
  const Batch batch{{at::zeros({2, 3}, at::kLong), kMask}, labels};
  const auto inputs = inputs_named({"input_ids", "attention_mask"});
  EXPECT_TRUE(used_positions(inputs, batch, -100)
                  .equal(at::tensor({1, 0, 0, 1, 0, 0}).reshape({2, 3}) == 1));
  EXPECT_TRUE(used_positions(inputs, batch, std::nullopt).equal(kMask == 1));
}

TEST(UsedPositions, AreAllWithoutAMaskAndWithOneLabelARow) {
  const Batch batch{{at::zeros({2, 3})}, at::tensor({1, -100}, at::kLong)};
  EXPECT_FALSE(used_positions(inputs_named({"x"}), batch, -100).defined());
}

TEST(UsedRows, AreTheUsedPositionsOfAnInput) {
  const at::Tensor input = at::arange(12, at::kFloat).reshape({2, 3, 2});
  EXPECT_TRUE(used_rows(input, kMask == 1)
                  .equal(at::tensor({0.0F, 1.0F, 2.0F, 3.0F, 6.0F, 7.0F}).reshape({3, 2})));
}

TEST(UsedRows, AreAllRowsWhereThePositionsAreOfAnotherTensor) {
  const at::Tensor pooled = at::arange(4, at::kFloat).reshape({2, 2});
  EXPECT_TRUE(used_rows(pooled, kMask == 1).equal(pooled));
  EXPECT_EQ(used_rows(at::zeros({4, 3, 2}), kMask == 1).sizes(), at::IntArrayRef({12, 2}));
  EXPECT_EQ(used_rows(at::zeros({4, 3, 2}), at::Tensor()).sizes(), at::IntArrayRef({12, 2}));
}

}  // namespace
}  // namespace tenon
