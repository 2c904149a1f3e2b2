#include "train/trainer.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "model/named_scope.h"
#include "train/batch_order.h"
#include "train/last_good.h"
#include "train/loss.h"
#include "train/optimizer.h"

namespace tenon {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kUnreachedHint =
    "the trained layers have no influence on the first output; see `tenon plan` for which they are";

[[noreturn]] void fail_training(const std::string& message, const std::string& hint) {
  throw Error{{.stage = Stage::kTraining, .message = message, .hint = hint, .location = ""}};
}

// Gradients of `loss` in the parameters.
void backward(const at::Tensor& loss) {
  const NamedScope scope(kBackwardScope);
  if (!loss.requires_grad())
    fail_training("the loss depends on no trained parameter", kUnreachedHint);
  try {
    loss.backward();
  } catch (const c10::Error& error) {
    fail_training(std::string("the gradient cannot be computed: ") + error.what_without_backtrace(),
                  "");
  }
}

void check_gradients(const std::vector<at::Tensor>& parameters) {
  const auto has_gradient = [](const at::Tensor& parameter) { return parameter.grad().defined(); };
  if (std::none_of(parameters.begin(), parameters.end(), has_gradient)) {
    fail_training("no trained parameter got a gradient", kUnreachedHint);
  }
}

std::vector<at::Tensor> changed_by_training(const TrainingTask& task) {
  std::vector<at::Tensor> tensors = task.parameters;
  tensors.insert(tensors.end(), task.buffers.begin(), task.buffers.end());
  return tensors;
}

bool all_finite(const std::vector<at::Tensor>& tensors) {
  const at::NoGradGuard no_grad;
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor& tensor) {
    return at::isfinite(tensor).all().item<bool>();
  });
}

std::vector<at::Tensor> run_forward(const TrainingTask& task, const Batch& batch) {
  const NamedScope scope(kForwardScope);
  return task.forward(batch.inputs, true);
}

at::Tensor loss_of(const std::vector<at::Tensor>& outputs, const Batch& batch,
                   const std::string& loss_name) {
  const NamedScope scope(kLossScope);
  return compute_loss(loss_name, outputs, batch.target);
}

std::vector<Batch> next_batches(BatchOrder& order) {
  const NamedScope scope(kDataScope);
  return order.next();
}

void update(Optimizer& optimizer) {
  const NamedScope scope(kOptimizerScope);
  optimizer.step();
}

// The loss of one step's batches as if they were one: each weighs what is judged in it. Adds its
// gradient to the parameters'; nothing is added where it is not finite.
double compute_gradients(const TrainingTask& task, const std::vector<Batch>& batches,
                         const std::string& loss_name) {
  std::vector<double> judged;
  for (const Batch& batch : batches) {
    judged.push_back(static_cast<double>(
        count_judged(loss_name, batch.target, batch.inputs.empty() ? 1 : batch.inputs[0].size(0))));
  }
  const double all = std::accumulate(judged.begin(), judged.end(), 0.0);
  double sum = 0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const bool alone = batches.size() == 1;
    if (judged[i] == 0 && all > 0) continue;  // it has no loss
    const std::vector<at::Tensor> outputs = run_forward(task, batches[i]);
    at::Tensor loss = loss_of(outputs, batches[i], loss_name);
    if (!alone) loss = loss * (judged[i] / all);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) return value;
    backward(loss);
    sum += value;
  }
  return sum;
}

void fill_times(std::vector<double> times, TrainingResult& result) {
  if (times.empty()) return;
  std::sort(times.begin(), times.end());
  const std::size_t half = times.size() / 2;
  result.step_ms_min = times.front();
  result.step_ms_max = times.back();
  result.step_ms_median = times.size() % 2 == 1 ? times[half] : (times[half - 1] + times[half]) / 2;
}

}  // namespace

TrainingResult train(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
                     const std::function<void(const StepProgress&)>& progress,
                     const std::atomic<bool>& stop) {
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  at::manual_seed(config.seed);
  const at::AutoGradMode with_grad(true);

  BatchOrder order(data, task.inputs, config);
  const std::int64_t planned =
      config.steps.value_or(config.epochs.value_or(1) * order.steps_per_epoch());
  Optimizer optimizer(task.parameters, config, task.roles);
  LastGood last_good(changed_by_training(task));
  TrainingResult result;
  result.rows_left_out = order.rows_left_out();
  std::vector<double> times;

  for (std::int64_t step = 1; step <= planned; ++step) {
    const NamedScope scope(kStepScope);
    const Clock::time_point start = Clock::now();
    optimizer.zero_grad();
    const double value = compute_gradients(task, next_batches(order), config.loss);
    if (!std::isfinite(value)) {
      result.not_finite_step = step;
      break;
    }
    if (step == 1) check_gradients(task.parameters);
    last_good.keep();
    update(optimizer);
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());

    result.losses.push_back(value);
    result.steps = step;
    if (progress) progress({step, planned, value});
    if (stop && step < planned) {
      result.interrupted = true;
      break;
    }
  }

  // No loss was computed after the last update.
  if (!result.not_finite_step && !all_finite(task.parameters))
    result.not_finite_step = result.steps;
  if (result.not_finite_step) last_good.restore();
  optimizer.zero_grad();
  fill_times(std::move(times), result);
  return result;
}

}  // namespace tenon
