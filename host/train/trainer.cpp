#include "train/trainer.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/suggest.h"
#include "model/named_scope.h"
#include "train/batch_order.h"
#include "train/data_check.h"
#include "train/last_good.h"
#include "train/loss.h"
#include "train/optimizer.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kUnreachedHint =
    "the trained layers have no influence on the first output; see `tenon plan` for which they are";

[[noreturn]] void fail_training(const std::string& message, const std::string& hint) {
  throw Error{{.stage = Stage::kTraining, .message = message, .hint = hint}};
}

std::vector<std::string> lost_gradients(const TrainingTask& task, const Batch& batch) {
  return task.lost_gradients ? task.lost_gradients(batch.inputs) : std::vector<std::string>();
}

// Nothing is trained: because of operators without a gradient, if that is why.
[[noreturn]] void fail_unreached(const std::string& message, const TrainingTask& task,
                                 const Batch& batch) {
  const std::vector<std::string> lost = lost_gradients(task, batch);
  fail_training(message, lost.empty() ? kUnreachedHint : join(lost, "\n  "));
}

// Gradients of `loss` in the parameters.
void backward(const at::Tensor& loss, const TrainingTask& task, const Batch& batch) {
  const NamedScope scope(kBackwardScope);
  if (!loss.requires_grad()) {
    fail_unreached("the loss depends on no trained parameter", task, batch);
  }
  try {
    loss.backward();
  } catch (const c10::Error& error) {
    fail_training(std::string("the gradient cannot be computed: ") + error.what_without_backtrace(),
                  "");
  }
}

// After the first step's backward.
void check_gradients(const TrainingTask& task, const Batch& batch) {
  const auto has_gradient = [](const at::Tensor& parameter) { return parameter.grad().defined(); };
  if (std::none_of(task.parameters.begin(), task.parameters.end(), has_gradient)) {
    fail_unreached("no trained parameter got a gradient", task, batch);
  }
  for (const std::string& text : lost_gradients(task, batch)) log::warning(text);
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

// The first of a failed batch's rows that fails alone in the same way; all of them where none does.
std::string failing_rows(const TrainingTask& task, const Dataset& data, const Batch& batch,
                         const Error& error) {
  constexpr std::size_t kMostTried = 512;
  const at::NoGradGuard no_grad;
  const auto reason = [](const Error& one) {
    return one.failure().message.substr(0, one.failure().message.find('\n'));
  };
  for (std::size_t i = 0; i < batch.rows.size() && batch.rows.size() > 1; ++i) {
    if (data.is_one_batch || i == kMostTried) break;
    try {
      task.forward(take_batch(data, {batch.rows[i]}).inputs, false);
    } catch (const Error& alone) {
      if (reason(alone) == reason(error)) return rows_text({batch.rows[i]});
    } catch (const std::exception&) {
      break;
    }
  }
  return rows_text(batch.rows);
}

// What a step's batches are worth, and what of them has no judged label.
struct Judged {
  std::vector<double> counts;  // of each batch
  double all = 0;
  std::int64_t empty = 0;
};

Judged count_labels(const std::vector<Batch>& batches, const std::string& loss_name) {
  Judged judged;
  for (const Batch& batch : batches) {
    judged.counts.push_back(static_cast<double>(
        count_judged(loss_name, batch.target, static_cast<std::int64_t>(batch.rows.size()))));
    if (judged.counts.back() == 0) ++judged.empty;
  }
  judged.all = std::accumulate(judged.counts.begin(), judged.counts.end(), 0.0);
  return judged;
}

// One run of the loop: what it works on, and what it has seen.
class TrainingRun {
 public:
  TrainingRun(const TrainingTask& task, const Dataset& data, const TrainConfig& config)
      : task_(task),
        data_(data),
        config_(config),
        order_(data, task.inputs, config, task.guards),
        optimizer_(task.parameters, config, task.roles),
        last_good_(changed_by_training(task)) {
    result_.rows_left_out = order_.rows_left_out();
  }

  TrainingResult run(const std::function<void(const StepProgress&)>& progress,
                     const std::atomic<bool>& stop) {
    const std::int64_t planned =
        config_.steps.value_or(config_.epochs.value_or(1) * order_.steps_per_epoch());
    for (std::int64_t step = 1; step <= planned; ++step) {
      if (!run_step(step, planned, progress)) break;
      if (stop && step < planned) {
        result_.interrupted = true;
        break;
      }
    }
    if (result_.batches_skipped > 0 && result_.losses.empty()) check_labels();
    check_end();
    if (result_.not_finite_step) last_good_.restore();
    optimizer_.zero_grad();
    fill_times();
    return std::move(result_);
  }

 private:
  // Whether to go on.
  bool run_step(std::int64_t step, std::int64_t planned,
                const std::function<void(const StepProgress&)>& progress) {
    const NamedScope scope(kStepScope);
    const Clock::time_point start = Clock::now();
    optimizer_.zero_grad();
    std::optional<double> value;
    try {
      value = compute_gradients();
    } catch (const Error& error) {
      return keep_failure(error);
    } catch (const std::exception& error) {
      return keep_failure(Error({.stage = Stage::kTraining, .message = error.what()}));
    }
    if (!value) return true;
    if (!std::isfinite(*value) || is_file_lost()) {
      result_.not_finite_step = step;
      return false;
    }
    if (result_.steps == 0) check_gradients(task_, take_batch(data_, last_rows_));
    last_good_.keep();
    try {
      update(optimizer_);
    } catch (const std::exception& error) {
      last_good_.restore();  // some of the parameters may have moved
      return keep_failure(Error({.stage = Stage::kTraining, .message = error.what()}));
    }
    times_.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    result_.has_moved = result_.has_moved || last_good_.differs(task_.parameters.size());
    result_.went_negative = result_.went_negative || *value < 0;
    result_.losses.push_back(*value);
    ++result_.steps;
    if (progress) progress({step, planned, *value});
    return true;
  }

  // The loss of one step's batches as if they were one: each weighs what is judged in it. Adds its
  // gradient to the parameters'; nothing is added where it is not finite. Nothing where no label of
  // all is judged.
  std::optional<double> compute_gradients() {
    std::vector<Batch> batches = next_batches(order_);
    const Judged judged = count_labels(batches, config_.loss);
    result_.batches_skipped += judged.empty;
    if (judged.all == 0) return std::nullopt;
    double sum = 0;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      if (judged.counts[i] == 0) continue;
      at::Tensor loss = loss_of(forward(batches[i]), batches[i], config_.loss);
      if (batches.size() > 1) loss = loss * (judged.counts[i] / judged.all);
      const double value = loss.item<double>();
      if (!std::isfinite(value)) return value;
      backward(loss, task_, batches[i]);
      sum += value;
      last_rows_ = batches[i].rows;
    }
    return sum;
  }

  std::vector<at::Tensor> forward(const Batch& batch) {
    std::vector<at::Tensor> outputs;
    try {
      outputs = run_forward(task_, batch);
    } catch (const Error& error) {
      Failure failure = error.failure();
      failure.message = failing_rows(task_, data_, batch, error) + ": " + failure.message;
      failure.location = data_.source;
      throw Error(std::move(failure));
    }
    if (!classes_checked_) {
      const auto classes = count_classes(config_.loss, outputs, batch.target);
      if (classes) check_classes(data_, *classes);
      classes_checked_ = true;
    }
    return outputs;
  }

  // Before the first update there is nothing to keep.
  bool keep_failure(const Error& error) {
    if (result_.steps == 0) throw error;
    result_.failure = error;
    return false;
  }

  // Some steps without labels are skipped; data without any teach nothing.
  void check_labels() const {
    if (count_judged(config_.loss, data_.target, data_.rows) > 0) return;
    throw Error{{.stage = Stage::kData,
                 .message = "no label of the data is judged: every one is the ignored class, -100",
                 .hint = "give labels to some rows",
                 .location = data_.source}};
  }

  // No loss was computed after the last update.
  void check_end() {
    if (result_.not_finite_step || result_.steps == 0) return;
    bool is_finite = all_finite(task_.parameters);
    if (is_finite && !result_.failure) {
      const at::NoGradGuard no_grad;
      const Batch batch = take_batch(data_, last_rows_);
      const std::vector<at::Tensor> outputs = task_.forward(batch.inputs, false);
      is_finite = std::isfinite(compute_loss(config_.loss, outputs, batch.target).item<double>());
    }
    if (!is_finite) result_.not_finite_step = result_.steps;
  }

  void fill_times() {
    if (times_.empty()) return;
    std::sort(times_.begin(), times_.end());
    const std::size_t half = times_.size() / 2;
    result_.step_ms_min = times_.front();
    result_.step_ms_max = times_.back();
    result_.step_ms_median =
        times_.size() % 2 == 1 ? times_[half] : (times_[half - 1] + times_[half]) / 2;
  }

  const TrainingTask& task_;
  const Dataset& data_;
  const TrainConfig& config_;
  BatchOrder order_;
  Optimizer optimizer_;
  LastGood last_good_;
  std::vector<std::int64_t> last_rows_;  // of the last batch that had a loss
  std::vector<double> times_;
  bool classes_checked_ = false;
  TrainingResult result_;
};

}  // namespace

TrainingResult train(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
                     const std::function<void(const StepProgress&)>& progress,
                     const std::atomic<bool>& stop) {
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  at::manual_seed(config.seed);
  const at::AutoGradMode with_grad(true);
  return TrainingRun(task, data, config).run(progress, stop);
}

}  // namespace tenon
