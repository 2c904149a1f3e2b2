#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "train/batches.h"
#include "train/loss.h"
#include "train/trainer.h"

namespace tenon {

// The loss of a step and its gradient in the parameters. Borrows all that it is made with.
class StepGradients {
 public:
  StepGradients(const TrainingTask& task, const Dataset& data, const TrainConfig& config);

  // The loss of one step's batches as if they were one: each weighs what is judged in it. Adds its
  // gradient to the parameters'; nothing is added where it is not finite. Nothing where no label of
  // all is judged. Throws Error with the rows that the model cannot take. `step` of `steps`,
  // from 1.
  std::optional<double> compute(const std::vector<Batch>& batches, std::int64_t step,
                                std::int64_t steps);

  // After the first step: whether something is trained. Throws Error{kTraining} where nothing is.
  void check() const;
  // The loss of the last batch once more, in eval mode.
  double last_loss() const;

  std::int64_t batches_skipped() const { return skipped_; }  // in which no label is judged
  std::int64_t last_step_rows() const { return step_rows_; }
  std::int64_t last_step_tokens() const { return step_tokens_; }  // 0 where the model reads no ids

 private:
  std::vector<at::Tensor> forward(const Batch& batch);

  const TrainingTask& task_;
  const Dataset& data_;
  std::vector<LossSettings> losses_;     // summed as they weigh
  std::vector<std::int64_t> last_rows_;  // of the last batch that had a loss
  std::int64_t skipped_ = 0;
  std::int64_t step_rows_ = 0;
  std::int64_t step_tokens_ = 0;
  bool classes_checked_ = false;
};

// Throws Error{kData} where no label of all the data is judged: a few batches without one are
// skipped, data without any teach nothing.
void check_labels(const Dataset& data, const TrainConfig& config);

}  // namespace tenon
