#pragma once

#include <cstdint>
#include <future>
#include <optional>
#include <vector>

#include "train/batches.h"
#include "train/row_lengths.h"

namespace tenon {

// The batches of a training run: those of one step after the other, one epoch after the other.
class BatchOrder {
 public:
  // Borrows both. `inputs` and `guards`: the model's.
  BatchOrder(const Dataset& data, const std::vector<InputSpec>& inputs, const TrainConfig& config,
             const std::vector<SizeExpression>& guards = {});

  std::int64_t steps_per_epoch() const;
  std::int64_t rows_left_out() const;  // of each epoch, where the program takes no shorter batch
  // Of one step; of images those of the step after are read meanwhile.
  // `gradient_accumulation_steps`, fewer at the end of an epoch.
  std::vector<Batch> next();

 private:
  std::vector<Batch> take();
  void start_epoch();

  const Dataset& data_;
  const TrainConfig& config_;
  bool leaves_out_last_;
  std::optional<RowLengths> lengths_;
  std::int64_t epoch_ = 0;
  std::size_t position_ = 0;
  std::vector<std::vector<std::int64_t>> batches_;  // of this epoch
  // Last, as it uses all the others: destroyed first, it waits for the thread.
  std::future<std::vector<Batch>> ahead_;
};

}  // namespace tenon
