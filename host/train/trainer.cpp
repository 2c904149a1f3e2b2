#include "train/trainer.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "train/batches.h"
#include "train/last_good.h"
#include "train/loss.h"
#include "train/optimizer.h"

namespace tenon {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kUnreachedHint =
    "the trained layers have no influence on the first output; see `tenon plan` for which they are";

[[noreturn]] void fail(const std::string& message, const std::string& hint) {
  throw Error{{.stage = Stage::kTraining, .message = message, .hint = hint, .location = ""}};
}

// The batches of one epoch after the other.
class BatchOrder {
 public:
  BatchOrder(std::int64_t rows, const TrainConfig& config, bool fixed)
      : rows_(rows), config_(config), fixed_(fixed) {
    start_epoch();
  }

  std::int64_t per_epoch() const { return static_cast<std::int64_t>(batches_.size()); }

  const std::vector<std::int64_t>& next() {
    if (position_ == batches_.size()) {
      ++epoch_;
      start_epoch();
    }
    return batches_[position_++];
  }

 private:
  void start_epoch() {
    batches_ = batch_rows(rows_, config_.batch_size, config_.shuffle, config_.seed, epoch_, fixed_);
    position_ = 0;
  }

  std::int64_t rows_;
  const TrainConfig& config_;
  bool fixed_;
  std::int64_t epoch_ = 0;
  std::size_t position_ = 0;
  std::vector<std::vector<std::int64_t>> batches_;
};

// Gradients of `loss` in the parameters.
void backward(const at::Tensor& loss) {
  if (!loss.requires_grad()) fail("the loss depends on no trained parameter", kUnreachedHint);
  try {
    loss.backward();
  } catch (const c10::Error& error) {
    fail(std::string("the gradient cannot be computed: ") + error.what_without_backtrace(), "");
  }
}

void check_gradients(const std::vector<at::Tensor>& parameters) {
  const auto has_gradient = [](const at::Tensor& parameter) { return parameter.grad().defined(); };
  if (std::none_of(parameters.begin(), parameters.end(), has_gradient)) {
    fail("no trained parameter got a gradient", kUnreachedHint);
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
  const bool fixed = check_batch_size(data, task.inputs, config.batch_size);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  at::manual_seed(config.seed);
  const at::AutoGradMode with_grad(true);

  BatchOrder order(data.rows, config, fixed);
  const std::int64_t planned = config.steps.value_or(config.epochs.value_or(1) * order.per_epoch());
  Optimizer optimizer(task.parameters, config);
  LastGood last_good(changed_by_training(task));
  TrainingResult result;
  result.rows_left_out = fixed ? data.rows % config.batch_size : 0;
  std::vector<double> times;

  for (std::int64_t step = 1; step <= planned; ++step) {
    const Clock::time_point start = Clock::now();
    const Batch batch = take_batch(data, order.next());
    optimizer.zero_grad();
    const at::Tensor loss =
        compute_loss(config.loss, task.forward(batch.inputs, true), batch.target);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      result.not_finite_step = step;
      break;
    }
    backward(loss);
    if (step == 1) check_gradients(task.parameters);
    last_good.keep();
    optimizer.step();
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
