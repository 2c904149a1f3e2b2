#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "plugins/lora/parts.h"

namespace tenon {
namespace {

using lora_parts::used_positions;
using lora_parts::used_rows;

const at::Tensor kSeen = at::tensor({1, 1, 0, 1, 0, 0}, at::kLong).reshape({2, 3}) == 1;

TEST(UsedPositions, AreLabelledWhereEachPositionHasALabel) {
  const at::Tensor labels = at::tensor({5, -100, 5, 5, 5, 5}, at::kLong).reshape({2, 3});
  const at::Tensor both = at::tensor({1, 0, 0, 1, 0, 0}).reshape({2, 3}) == 1;
  EXPECT_TRUE(used_positions(kSeen, labels, -100).equal(both));
  EXPECT_TRUE(used_positions(kSeen, labels, std::nullopt).equal(kSeen));
  EXPECT_TRUE(used_positions({}, labels, -100).equal(labels != -100));
}

TEST(UsedPositions, AreAllWithoutAMaskAndWithOneLabelARow) {
  EXPECT_FALSE(used_positions({}, at::tensor({1, -100}, at::kLong), -100).defined());
  EXPECT_TRUE(used_positions(kSeen, at::tensor({1, -100}, at::kLong), -100).equal(kSeen));
}

TEST(UsedRows, AreTheUsedPositionsOfAnInput) {
  const at::Tensor input = at::arange(12, at::kFloat).reshape({2, 3, 2});
  EXPECT_TRUE(used_rows(input, kSeen)
                  .equal(at::tensor({0.0F, 1.0F, 2.0F, 3.0F, 6.0F, 7.0F}).reshape({3, 2})));
}

TEST(UsedRows, AreAllRowsWhereThePositionsAreOfAnotherTensor) {
  const at::Tensor pooled = at::arange(4, at::kFloat).reshape({2, 2});
  EXPECT_TRUE(used_rows(pooled, kSeen).equal(pooled));
  EXPECT_EQ(used_rows(at::zeros({4, 3, 2}), kSeen).sizes(), at::IntArrayRef({12, 2}));
  EXPECT_EQ(used_rows(at::zeros({4, 3, 2}), at::Tensor()).sizes(), at::IntArrayRef({12, 2}));
}

}  // namespace
}  // namespace tenon
