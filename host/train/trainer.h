#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/run_config.h"
#include "data/data_source.h"
#include "graph/graph.h"
#include "graph/size_expression.h"
#include "objectives/best_value.h"
#include "objectives/metrics.h"
#include "objectives/objectives.h"
#include "ranks/ranks.h"
#include "train/method_training.h"
#include "train/parameter_role.h"

namespace tenon {

struct TrainingState;

// What is trained, without saying how it is built.
struct TrainingTask {
  // Flattened outputs of one forward; `training` switches dropout and the like on.
  std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>& inputs, bool training)>
      forward;
  std::vector<at::Tensor> parameters;  // leaves that require a gradient
  c10::Device device = c10::kCPU;      // where the forward runs, and so the loss
  std::vector<InputSpec> inputs;
  std::vector<SizeExpression> guards = {};  // of the inputs' sizes
  // What a training forward itself writes (running statistics), so that it can be taken back too.
  std::vector<at::Tensor> buffers = {};
  // What else of the adapters is saved and may change: a plugin's own tensors that no optimizer
  // trains. Part of a checkpoint.
  std::vector<at::Tensor> untrained = {};
  // After the first backward on these inputs: what got no gradient though the output depends on it,
  // and why, a sentence for each reason.
  std::function<std::vector<std::string>(const std::vector<at::Tensor>& inputs)> lost_gradients =
      {};
  // One for each parameter, where the optimizer treats parameters differently.
  std::vector<ParameterRole> roles = {};
  // What the adapters' methods do beside the optimizer; nullptr: nothing.
  std::shared_ptr<MethodTraining> methods = nullptr;
  // The losses and metrics of plugins among those of the config.
  Objectives objectives = {};
  // The processes that train it together, each with all of the data.
  std::shared_ptr<Ranks> ranks = one_rank();
};

struct Evaluation {
  double loss = 0;
  std::optional<double> accuracy;
  std::int64_t rows_left_out = 0;  // where the program takes no shorter last batch
  Measures metrics = {};           // [train] metrics, by their names; NaN where one is undefined
  std::optional<ConfusionMatrix> confusion = {};
};

struct StepProgress {
  std::int64_t step = 0;   // from 1
  std::int64_t steps = 0;  // planned
  double loss = 0;
  double epoch = 0;  // passes over the data so far
  double learning_rate = 0;
  std::optional<double> grad_norm = {};  // where it is clipped or logged
  std::int64_t rows = 0;
  std::int64_t tokens = 0;  // of those, where the model reads ids
  bool is_logged = false;   // by log_steps
  double mean_loss = 0;     // then: over the steps since it was logged last
};

// What a training tells its caller and asks of it between two steps, in this order.
struct TrainingEvents {
  std::function<void(const StepProgress&)> step = {};
  // By [train] eval_steps. What it draws of random numbers changes nothing.
  std::function<Measures(std::int64_t step, double epoch)> evaluate = {};
  // By `save_steps` and after the last step, after a new best evaluation with
  // load_best_model_at_end, and where `stop` ends the training. What it throws ends the training.
  std::function<void(const TrainingState&)> save = {};
  std::optional<StepInterval> save_steps = {};
  std::optional<StepInterval> log_steps = {};
};

struct TrainingResult {
  std::int64_t steps = 0;              // of the optimizer
  std::vector<double> losses;          // one a step
  std::vector<double> learning_rates;  // of each step, before the groups' ratios
  std::vector<double> grad_norms;      // of each step before clipping; none without max_grad_norm
  double step_ms_median = 0, step_ms_min = 0, step_ms_max = 0;
  std::int64_t rows_left_out = 0;  // of each epoch, where the program takes no shorter last batch
  // Batches in which no label is judged, of all epochs: they have no loss and no gradient. A step
  // of nothing else is no step.
  std::int64_t batches_skipped = 0;
  // Of the steps those whose gradients overflowed autocast's float16, and the scale at the end.
  std::int64_t steps_left_out = 0;
  std::optional<double> loss_scale;
  BestValue::State best;       // of the evaluations while it trained
  bool stopped_early = false;  // early_stopping_patience
  bool interrupted = false;    // Ctrl-C: the step was finished, the rest left out
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
// where a class is none of the outputs' or no label is judged. Nothing once `stop` is set. The
// ranks share the batches, and all get the whole.
std::optional<Evaluation> evaluate(const TrainingTask& task, const Dataset& data,
                                   const TrainConfig& config, const std::atomic<bool>& stop);
Evaluation evaluate(const TrainingTask& task, const Dataset& data, const TrainConfig& config);

// Runs the loop, from the start or from where another training of the same task, data and config
// stood. `stop` is looked at after every step. Throws Error{Stage::kTraining} where no batch can be
// formed or nothing would be trained, and whatever fails in the first step, before anything was
// trained.
TrainingResult train(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
                     const TrainingEvents& events, const std::atomic<bool>& stop,
                     const TrainingState* from = nullptr);

}  // namespace tenon
