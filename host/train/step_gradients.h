#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/batches.h"
#include "objectives/loss.h"
#include "train/loss_scale.h"
#include "train/step_exchange.h"
#include "train/trainer.h"

namespace tenon {

struct StepLoss {
  double loss = 0;
  // Of the gradients, where it was asked for and could be read together with the loss: a device is
  // waited for once a step.
  at::Tensor norm;
  double norm_value = 0;
  bool is_overflow = false;  // a scaled gradient is not finite: no step is to be taken
};

// The loss of a step and its gradient in the parameters. Borrows all that it is made with.
class StepGradients {
 public:
  StepGradients(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
                const LossScale& scale);

  // The loss of one step's batches, those of all ranks, as if they were one: each weighs what is
  // judged in it. Adds its gradient to the parameters'; not a whole one where it is not finite.
  // Nothing where no label of all is judged. Throws Error with the rows that the model cannot take.
  // `step` of `steps`, from 1. `wish`: told to all ranks, see `is_wished`.
  std::optional<StepLoss> compute(const std::vector<Batch>& batches, std::int64_t step,
                                  std::int64_t steps, bool wish = false, bool wants_norm = false);

  // After the first step: whether something is trained. Throws Error{kTraining} where nothing is.
  void check() const;
  // The loss of the last batch once more, in eval mode: of all ranks the sum.
  double last_loss();
  // Whether any rank wished when the last step began.
  bool is_wished() const { return is_wished_; }

  std::int64_t batches_skipped() const { return skipped_; }  // in which no label is judged
  std::int64_t last_step_rows() const { return step_rows_; }
  std::int64_t last_step_tokens() const { return step_tokens_; }  // 0 where the model reads no ids

 private:
  std::vector<at::Tensor> forward(const Batch& batch);
  StepLoss compute_own(const std::vector<Batch>& batches, std::int64_t step, std::int64_t steps,
                       bool wants_norm);

  // What the batches of a step are worth to each loss.
  struct Judged {
    std::vector<std::vector<double>> counts;  // by own batch and loss
    std::vector<double> all;                  // by loss, of all ranks
    bool is_first = true;                     // of the ranks on which something is judged
  };
  // Nothing where nothing is judged on any rank.
  std::optional<Judged> count_labels(const std::vector<Batch>& batches, bool wish);

  const TrainingTask& task_;
  const Dataset& data_;
  const LossScale& scale_;
  std::vector<LossSettings> losses_;         // summed as they weigh
  std::vector<LossSettings> device_losses_;  // their tensors where the outputs are
  StepExchange exchange_;
  Judged judged_;                        // of this step
  std::vector<std::int64_t> last_rows_;  // of the last batch that had a loss
  std::int64_t skipped_ = 0;
  std::int64_t step_rows_ = 0;
  std::int64_t step_tokens_ = 0;
  bool classes_checked_ = false;
  bool is_wished_ = false;
};

// Throws Error{kData} where no label of all the data is judged: a few batches without one are
// skipped, data without any teach nothing.
void check_labels(const Dataset& data, const TrainConfig& config);

}  // namespace tenon
