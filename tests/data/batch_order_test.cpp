#include "data/batch_order.h"

#include <algorithm>

#include "support/error_matchers.h"
#include "support/numbered_rows.h"
#include "support/toy_task.h"

namespace tenon {
namespace {

using ::testing::ElementsAre;
using testing::error_text;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::numbered_rows;
using testing::toy_input;
using Rows = std::vector<std::int64_t>;

TrainConfig batches_of(std::int64_t batch_size, bool shuffle = false) {
  TrainConfig config;
  config.batch_size = batch_size;
  config.shuffle = shuffle;
  return config;
}

Rows next_rows(BatchOrder& order) {
  Rows rows;
  for (const Batch& batch : order.next()) {
    rows.insert(rows.end(), batch.rows.begin(), batch.rows.end());
  }
  return rows;
}

// torch.utils.data.DistributedSampler's indices are rank, rank + count, ...
TEST(BatchOrder, SharesRowsAsTheDistributedSampler) {
  const Dataset data = numbered_rows(8);
  BatchOrder first(data, {}, batches_of(2), {}, {0, 2});
  BatchOrder second(data, {}, batches_of(2), {}, {1, 2});
  EXPECT_EQ(first.steps_per_epoch(), 2);
  EXPECT_THAT(next_rows(first), ElementsAre(0, 2));
  EXPECT_THAT(next_rows(second), ElementsAre(1, 3));
  EXPECT_THAT(next_rows(first), ElementsAre(4, 6));
  EXPECT_THAT(next_rows(second), ElementsAre(5, 7));
}

TEST(BatchOrder, GivesNoRowTwiceWhereTheyDoNotDivide) {
  const Dataset data = numbered_rows(9);
  Rows all;
  for (std::int64_t rank = 0; rank < 4; ++rank) {
    BatchOrder order(data, {}, batches_of(2, true), {}, {rank, 4});
    ASSERT_EQ(order.steps_per_epoch(), 2);
    for (int step = 0; step < 2; ++step) {
      for (const std::int64_t row : next_rows(order)) all.push_back(row);
    }
  }
  std::ranges::sort(all);
  EXPECT_THAT(all, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
}

TEST(BatchOrder, AShareMayHaveNoRowsInTheLastStep) {
  const Dataset data = numbered_rows(5);
  BatchOrder last(data, {}, batches_of(2), {}, {1, 2});
  EXPECT_THAT(next_rows(last), ElementsAre(1, 3));
  EXPECT_THAT(next_rows(last), IsEmpty());
  EXPECT_THAT(next_rows(last), ElementsAre(1, 3));  // of the next epoch
}

TEST(BatchOrder, OfAFixedSizeLeavesOutWhatIsNoWholeBatchForAll) {
  const Dataset data = numbered_rows(10);
  BatchOrder order(data, {toy_input(2)}, batches_of(2), {}, {0, 2});
  EXPECT_EQ(order.steps_per_epoch(), 2);
  EXPECT_EQ(order.rows_left_out(), 2);
}

TEST(BatchOrder, RefusesToShareRowsThatBelongTogether) {
  Dataset data = numbered_rows(4);
  data.is_one_batch = true;
  EXPECT_THAT(error_text([&] {
                BatchOrder(data, {}, batches_of(2), {}, {0, 2});
              }),
              HasSubstr("the rows of the data belong together, so that 2 processes cannot share "
                        "them"));
}

// Of a run that goes on with another number of processes.
TEST(BatchOrder, SharesTheRestOfAnEpochAnewAmongMoreOrFewer) {
  const Dataset data = numbered_rows(23);
  for (const std::int64_t count : {1, 2, 4}) {
    Rows all;
    BatchOrder three(data, {}, batches_of(2, true), {}, {0, 3});
    BatchPosition position;
    for (std::int64_t rank = 0; rank < 3; ++rank) {
      BatchOrder order(data, {}, batches_of(2, true), {}, {rank, 3});
      for (int step = 0; step < 2; ++step) {
        for (const std::int64_t row : next_rows(order)) all.push_back(row);
      }
      position = order.position();
    }
    EXPECT_EQ(position.rows, 12);
    for (std::int64_t rank = 0; rank < count; ++rank) {
      BatchOrder order(data, {}, batches_of(2, true), {}, {rank, count});
      order.go_to(position);
      EXPECT_EQ(order.steps_left(1), (11 + 2 * count - 1) / (2 * count));
      for (std::int64_t step = order.steps_left(1); step > 0; --step) {
        for (const std::int64_t row : next_rows(order)) all.push_back(row);
      }
      EXPECT_EQ(order.position().rows, 23);
    }
    std::ranges::sort(all);
    Rows each(23);
    for (std::size_t i = 0; i < each.size(); ++i) each[i] = static_cast<std::int64_t>(i);
    EXPECT_EQ(all, each) << count;
  }
}

TEST(BatchOrder, GoesOnInTheSameOrderAmongAsMany) {
  const Dataset data = numbered_rows(23);
  BatchOrder whole(data, {}, batches_of(2, true), {}, {1, 3});
  next_rows(whole);
  BatchOrder resumed(data, {}, batches_of(2, true), {}, {1, 3});
  resumed.go_to(whole.position());
  for (int step = 0; step < 9; ++step) EXPECT_EQ(next_rows(resumed), next_rows(whole)) << step;
}

}  // namespace
}  // namespace tenon
