#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <vector>

#include "data/batches.h"
#include "data/row_lengths.h"

namespace tenon {

// Where in the batches of a run the next step begins.
struct BatchPosition {
  std::int64_t epoch = 0;
  std::int64_t batch = 0;     // of this epoch
  std::int64_t rows = 0;      // of this epoch, that are behind it
  std::int64_t together = 0;  // rows of a batch of all ranks, when the epoch began
  bool operator==(const BatchPosition&) const = default;
};

// Which of how many processes takes the rows. Of each batch of all together every one takes each
// `count`-th row: those that PyTorch's DistributedSampler gives it, none of them twice.
struct RowShare {
  std::int64_t rank = 0;
  std::int64_t count = 1;
};

// The batches of a training run: those of one step after the other, one epoch after the other.
class BatchOrder {
 public:
  // Borrows the data. `inputs` and `guards`: the model's. Throws Error{kTraining} for rows that
  // belong together and should be shared.
  BatchOrder(const Dataset& data, const std::vector<InputSpec>& inputs, const TrainConfig& config,
             const std::vector<SizeExpression>& guards = {}, RowShare share = {});

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  std::int64_t rows_left_out() const;  // of each epoch, where the program takes no shorter batch
  // Of one step; of images those of the step after are read meanwhile.
  // `gradient_accumulation_steps`, fewer at the end of an epoch, where a share may have no rows.
  std::vector<Batch> next();

  // Behind the batches that `next` gave last.
  BatchPosition position() const { return given_; }
  // Goes on from where another run of the same data and settings was. With another number of
  // processes the rest of that epoch's rows is shared anew, in the order that they had.
  void go_to(const BatchPosition& position);
  // From here to the end of `epochs`.
  std::int64_t steps_left(std::int64_t epochs) const;
  // Epochs that `next` gave, as a number of steps over the steps of one.
  double epochs_done() const;

 private:
  struct Taken {
    std::vector<Batch> batches;
    BatchPosition after;
  };
  Taken take();
  std::int64_t steps_of(std::int64_t batches) const;
  std::vector<std::vector<std::int64_t>> batches_of_epoch(std::int64_t together) const;
  void start_epoch();
  void share_rest(const BatchPosition& position);

  const Dataset& data_;
  TrainConfig config_;  // its batch_size is that of all ranks
  RowShare share_;
  bool leaves_out_last_;
  std::int64_t steps_per_epoch_ = 0;
  std::optional<RowLengths> lengths_;
  std::int64_t epoch_ = 0;
  std::size_t position_ = 0;
  BatchPosition given_;
  std::vector<std::vector<std::int64_t>> batches_;  // of this epoch, of all ranks
  // Where the epoch's first part was shared otherwise: what is behind it.
  BatchPosition before_;
  // Last, as it uses all the others: destroyed first, it waits for the thread.
  std::future<Taken> ahead_;
};

}  // namespace tenon
