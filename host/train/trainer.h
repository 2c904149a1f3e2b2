#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/run_config.h"
#include "model/graph.h"
#include "model/size_expression.h"
#include "train/data_source.h"
#include "train/parameter_role.h"

namespace tenon {

// What is trained, without saying how it is built.
struct TrainingTask {
  // Flattened outputs of one forward; `training` switches dropout and the like on.
  std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>& inputs, bool training)>
      forward;
  std::vector<at::Tensor> parameters;  // leaves that require a gradient
  std::vector<InputSpec> inputs;
  std::vector<SizeExpression> guards = {};  // of the inputs' sizes
  // What a training forward itself writes (running statistics), so that it can be taken back too.
  std::vector<at::Tensor> buffers = {};
  // After the first backward on these inputs: what got no gradient though the output depends on it,
  // and why, a sentence for each reason.
  std::function<std::vector<std::string>(const std::vector<at::Tensor>& inputs)> lost_gradients =
      {};
  // One for each parameter, where the optimizer treats LoRA's matrices differently.
  std::vector<ParameterRole> roles = {};
};

struct Evaluation {
  double loss = 0;
  std::optional<double> accuracy;
  std::int64_t rows_left_out = 0;  // where the program takes no shorter last batch
};

struct StepProgress {
  std::int64_t step = 0;   // from 1
  std::int64_t steps = 0;  // planned
  double loss = 0;
};

struct TrainingResult {
  std::int64_t steps = 0;      // of the optimizer
  std::vector<double> losses;  // one a step
  double step_ms_median = 0, step_ms_min = 0, step_ms_max = 0;
  std::int64_t rows_left_out = 0;  // of each epoch, where the program takes no shorter last batch
  // Batches in which no label is judged, of all epochs: they have no loss and no gradient. A step
  // of nothing else is no step.
  std::int64_t batches_skipped = 0;
  bool interrupted = false;  // Ctrl-C: the step was finished, the rest left out
  // Training stopped at this step (1-based): its loss was not finite, or it was the last and after
  // its update a parameter or the loss was not. Parameters and buffers are as they were when a loss
  // was last finite; `steps` and `losses` count the steps whose loss was finite.
  std::optional<std::int64_t> not_finite_step;
  // What ended training after its first step; parameters and buffers are the last good ones.
  std::optional<Error> failure;
  bool has_moved = false;      // whether any parameter ever changed
  bool went_negative = false;  // the loss: of nll a sign that the outputs are no log-probabilities
};

// In eval mode and without gradients: the mean over all rows (over judged positions where the loss
// classifies). Throws Error{Stage::kTraining} where no batch can be formed, Error{Stage::kData}
// where a class is none of the outputs' or no label is judged. Nothing once `stop` is set.
std::optional<Evaluation> evaluate(const TrainingTask& task, const Dataset& data,
                                   const TrainConfig& config, const std::atomic<bool>& stop);
Evaluation evaluate(const TrainingTask& task, const Dataset& data, const TrainConfig& config);

// Runs the loop. `progress` is called after every step. `stop` is looked at after every step.
// Throws Error{Stage::kTraining} where no batch can be formed or nothing would be trained, and
// whatever fails in the first step, before anything was trained.
TrainingResult train(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
                     const std::function<void(const StepProgress&)>& progress,
                     const std::atomic<bool>& stop);

}  // namespace tenon
