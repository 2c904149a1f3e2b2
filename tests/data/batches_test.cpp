#include "data/batches.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "support/error_matchers.h"
#include "support/numbered_rows.h"
#include "support/toy_task.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using testing::numbered_rows;
using testing::toy_input;

std::vector<std::int64_t> joined(const std::vector<std::vector<std::int64_t>>& batches) {
  std::vector<std::int64_t> all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

TEST(BatchRows, GoInOrderWithAShorterLastBatch) {
  EXPECT_THAT(batch_rows(5, 2, false, 0, 0, false),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4)));
}

TEST(BatchRows, FixedSizeLeavesTheShorterLastBatchOut) {
  EXPECT_THAT(batch_rows(5, 2, false, 0, 0, true),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3)));
}

TEST(BatchRows, ShufflingKeepsEveryRowOnce) {
  std::vector<std::int64_t> rows = joined(batch_rows(100, 7, true, 3, 0, false));
  EXPECT_FALSE(std::is_sorted(rows.begin(), rows.end()));
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(rows, joined(batch_rows(100, 7, false, 0, 0, false)));
}

TEST(BatchRows, SeedAndEpochDecideTheOrder) {
  const auto order = batch_rows(50, 8, true, 1, 0, false);
  EXPECT_EQ(order, batch_rows(50, 8, true, 1, 0, false));
  EXPECT_NE(order, batch_rows(50, 8, true, 1, 1, false));
  EXPECT_NE(order, batch_rows(50, 8, true, 2, 0, false));
}

// The generator and the shuffle are fixed, so this order holds for every platform and version.
TEST(BatchRows, OrderIsTheSameEverywhere) {
  EXPECT_THAT(joined(batch_rows(8, 8, true, 0, 0, false)), ElementsAre(0, 7, 5, 6, 1, 3, 2, 4));
}

TEST(BatchRows, OfLikeLengthComeTogetherTheLongestFirst) {
  EXPECT_THAT(batch_rows(5, 2, false, 0, 0, false, {1, 7, 3, 7, 2}),
              ElementsAre(ElementsAre(1, 3), ElementsAre(2, 4), ElementsAre(0)));
}

TEST(BatchRows, OfLikeLengthStayInTheirFiftyBatches) {
  std::vector<std::int64_t> lengths(60, 1);
  lengths[59] = 9;
  const auto batches = batch_rows(60, 1, false, 0, 0, false, lengths);
  EXPECT_THAT(batches[0], ElementsAre(0));
  EXPECT_THAT(batches[50], ElementsAre(59));
}

TEST(TakeBatch, PicksRowsOfInputsAndTarget) {
  const Batch batch = take_batch(numbered_rows(4), {3, 1});
  EXPECT_TRUE(at::equal(batch.inputs.at(0), at::tensor({6.0F, 7.0F, 2.0F, 3.0F}).reshape({2, 2})));
  ASSERT_TRUE(batch.target.has_value());
  EXPECT_TRUE(at::equal(*batch.target, at::tensor({3, 1}, at::kLong)));
}

TEST(TakeBatch, WritingIntoARunOfRowsLeavesTheDatasetAsItWas) {
  const Dataset data = numbered_rows(4);
  const Batch batch = take_batch(data, {1, 2});
  EXPECT_TRUE(at::equal(batch.inputs.at(0), data.inputs[0].narrow(0, 1, 2)));
  batch.inputs[0].zero_();
  EXPECT_TRUE(at::equal(data.inputs[0], numbered_rows(4).inputs[0]));
}

TEST(CheckBatchSize, TellsWhetherTheExportFixedIt) {
  EXPECT_TRUE(leaves_out_last(numbered_rows(8), {toy_input(4)}, {}, 4));
  EXPECT_FALSE(leaves_out_last(numbered_rows(8), {toy_input(-1)}, {}, 4));
  EXPECT_FALSE(leaves_out_last(numbered_rows(8), {InputSpec{}}, {}, 4));
}

TEST(CheckBatchSize, NamesTheFixedDimensionAndTheWayOut) {
  EXPECT_THAT(error_text([] { leaves_out_last(numbered_rows(8), {toy_input(4)}, {}, 32); }),
              HasSubstr("dimension 0 of `x` was fixed to 4 when this model was exported\n  set "
                        "batch_size = 4, or export with a dynamic dimension"));
}

TEST(CheckBatchSize, RefusesDataThatFillNoBatch) {
  EXPECT_THAT(error_text([] { leaves_out_last(numbered_rows(0), {}, {}, 4); }),
              HasSubstr("train.csv: the data have no rows"));
  EXPECT_THAT(error_text([] { leaves_out_last(numbered_rows(3), {toy_input(4)}, {}, 4); }),
              HasSubstr("the data have 3 rows; the export fixed a batch to 4"));
  EXPECT_THAT(error_text([] { leaves_out_last(numbered_rows(3), {}, {}, 0); }),
              HasSubstr("batch_size is 0"));
}

}  // namespace
}  // namespace tenon
