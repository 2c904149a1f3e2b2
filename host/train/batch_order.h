#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <vector>

#include "train/batches.h"
#include "train/row_lengths.h"

namespace tenon {

// Where in the batches of a run the next step begins.
struct BatchPosition {
  std::int64_t epoch = 0;
  std::int64_t batch = 0;  // of this epoch
  bool operator==(const BatchPosition&) const = default;
};

// The batches of a training run: those of one step after the other, one epoch after the other.
class BatchOrder {
 public:
  // Borrows both. `inputs` and `guards`: the model's.
  BatchOrder(const Dataset& data, const std::vector<InputSpec>& inputs, const TrainConfig& config,
             const std::vector<SizeExpression>& guards = {});

  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  std::int64_t rows_left_out() const;  // of each epoch, where the program takes no shorter batch
  // Of one step; of images those of the step after are read meanwhile.
  // `gradient_accumulation_steps`, fewer at the end of an epoch.
  std::vector<Batch> next();

  // Behind the batches that `next` gave last.
  BatchPosition position() const { return given_; }
  // Goes on from where another run of the same data and settings was.
  void go_to(const BatchPosition& position);
  // Epochs that `next` gave, as a number of steps over the steps of one.
  double epochs_done() const;

 private:
  struct Taken {
    std::vector<Batch> batches;
    BatchPosition after;
  };
  Taken take();
  std::int64_t steps_of(std::int64_t batches) const;
  void start_epoch();

  const Dataset& data_;
  const TrainConfig& config_;
  bool leaves_out_last_;
  std::int64_t steps_per_epoch_ = 0;
  std::optional<RowLengths> lengths_;
  std::int64_t epoch_ = 0;
  std::size_t position_ = 0;
  BatchPosition given_;
  std::vector<std::vector<std::int64_t>> batches_;  // of this epoch
  // Last, as it uses all the others: destroyed first, it waits for the thread.
  std::future<Taken> ahead_;
};

}  // namespace tenon
