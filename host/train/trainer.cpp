#include "train/trainer.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/file_watch.h"
#include "data/batch_order.h"
#include "interpreter/named_scope.h"
#include "objectives/best_value.h"
#include "train/cadence.h"
#include "train/gradient_norm.h"
#include "train/last_good.h"
#include "train/optimizer.h"
#include "train/out_of_memory.h"
#include "train/schedule.h"
#include "train/step_gradients.h"
#include "train/training_state.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<at::Tensor> changed_by_training(const TrainingTask& task) {
  std::vector<at::Tensor> tensors = task.parameters;
  tensors.insert(tensors.end(), task.buffers.begin(), task.buffers.end());
  if (task.methods == nullptr) return tensors;
  const std::vector<at::Tensor> others = task.methods->buffers();
  tensors.insert(tensors.end(), others.begin(), others.end());
  return tensors;
}

bool all_finite(const std::vector<at::Tensor>& tensors) {
  const at::NoGradGuard no_grad;
  return std::all_of(tensors.begin(), tensors.end(), [](const at::Tensor& tensor) {
    return at::isfinite(tensor).all().item<bool>();
  });
}

std::vector<Batch> next_batches(BatchOrder& order) {
  const NamedScope scope(kDataScope);
  return order.next();
}

// In a handler: what is handled, as a failure of the training.
Error failure_now() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const c10::Error& error) {
    return Error({.stage = Stage::kTraining, .message = error.what_without_backtrace()});
  } catch (const std::exception& error) {
    return Error({.stage = Stage::kTraining, .message = error.what()});
  }
}

// What rank 0 starts from, all do: other processors may have worked it out with other last bits.
void share_start(const TrainingTask& task) {
  std::vector<at::Tensor> tensors = changed_by_training(task);
  tensors.insert(tensors.end(), task.untrained.begin(), task.untrained.end());
  share_tensors(*task.ranks, tensors);
}

// Where it goes on with another number of processes, the rest of the steps are others.
std::int64_t planned_steps(BatchOrder& order, const TrainConfig& config,
                           const TrainingState* from) {
  if (from != nullptr) order.go_to(from->position);
  const std::int64_t done = from == nullptr ? 0 : from->step;
  return config.steps.value_or(done + order.steps_left(config.epochs.value_or(1)));
}

// One run of the loop: what it works on, and what it has seen.
class TrainingRun {
 public:
  TrainingRun(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
              const TrainingEvents& events, const TrainingState* from)
      : task_(task),
        data_(data),
        config_(config),
        events_(events),
        order_(data, task.inputs, config, task.guards, {task.ranks->rank(), task.ranks->count()}),
        scale_(config),
        gradients_(task, data, config, scale_),
        optimizer_(task.parameters, config, task.roles),
        last_good_(changed_by_training(task)),
        planned_(planned_steps(order_, config, from)),
        schedule_(config, planned_),
        plateau_(config.schedule),
        best_(config),
        evaluates_(config.eval_steps, planned_, order_.steps_per_epoch()),
        saves_(events.save_steps, planned_, order_.steps_per_epoch()),
        logs_(events.log_steps, planned_, order_.steps_per_epoch()) {
    result_.rows_left_out = order_.rows_left_out();
    if (from != nullptr) go_on_from(*from);
  }

 private:
  void go_on_from(const TrainingState& state) {
    copy_list(tensors_under(state.tensors, "parameter."), "parameters", task_.parameters);
    copy_list(tensors_under(state.tensors, "buffer."), "buffers", task_.buffers);
    copy_list(tensors_under(state.tensors, "untrained."), "untrained tensors", task_.untrained);
    optimizer_.restore(tensors_under(state.tensors, "optimizer."));
    if (task_.methods != nullptr) {
      task_.methods->restore(tensors_under(state.tensors, "method."));
    }
    restore_generators_of(state.tensors, *task_.ranks);
    const NamedTensors scale = tensors_under(state.tensors, "loss_scale");
    if (scale_.is_on() && !scale.empty()) scale_.restore(numbers_of(scale, ""));
    plateau_.restore(state.plateau);
    best_.restore(state.best);
    last_good_.keep();
    step_ = state.step;
    skipped_before_ = state.batches_skipped;
    logged_ = state.losses_logged;
    result_.losses = numbers_of(state.tensors, "losses");
    result_.learning_rates = numbers_of(state.tensors, "learning_rates");
    result_.grad_norms = numbers_of(state.tensors, "grad_norms");
    result_.steps = static_cast<std::int64_t>(result_.losses.size());
    result_.has_moved = state.has_moved;
    result_.went_negative = state.went_negative;
  }

 public:
  TrainingResult run(const std::atomic<bool>& stop) {
    while (step_ < planned_ && !result_.stopped_early) {
      ++step_;
      if (!run_step(stop) || !run_events(stop)) break;
    }
    result_.batches_skipped = skipped_before_ + gradients_.batches_skipped();
    if (result_.batches_skipped > 0 && result_.losses.empty()) check_labels(data_, config_);
    if (!times_.empty()) check_end();
    if (result_.not_finite_step) last_good_.restore();
    optimizer_.zero_grad();
    result_.best = best_.state();
    if (scale_.is_on()) result_.loss_scale = scale_.value();
    fill_times();
    return std::move(result_);
  }

 private:
  // Whether to go on.
  bool run_step(const std::atomic<bool>& stop) {
    const NamedScope scope(kStepScope);
    const Clock::time_point start = Clock::now();
    optimizer_.zero_grad();
    std::optional<StepLoss> found;
    try {
      found = gradients_.compute(next_batches(order_), step_, planned_, stop, wants_norm());
    } catch (...) {
      return keep_failure(failure_now());
    }
    if (!found) return true;
    const double loss = found->loss;
    if (!std::isfinite(loss) || is_file_lost()) {
      result_.not_finite_step = step_;
      return false;
    }
    if (result_.steps == 0) gradients_.check();
    last_good_.keep();
    std::optional<double> norm;
    try {
      norm = update(*found);
    } catch (...) {
      const Error failure = failure_now();
      last_good_.restore();  // some of the parameters may have moved
      return keep_failure(failure);
    }
    times_.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    result_.has_moved = result_.has_moved || last_good_.differs(task_.parameters.size());
    result_.went_negative = result_.went_negative || loss < 0;
    result_.losses.push_back(loss);
    ++result_.steps;
    tell(loss, norm);
    return true;
  }

  void tell(double loss, std::optional<double> norm) {
    StepProgress progress{.step = step_,
                          .steps = planned_,
                          .loss = loss,
                          .epoch = order_.epochs_done(),
                          .learning_rate = result_.learning_rates.back(),
                          .grad_norm = norm,
                          .rows = gradients_.last_step_rows(),
                          .tokens = gradients_.last_step_tokens(),
                          .is_logged = logs_.is_due(step_)};
    if (progress.is_logged) {
      const auto first = result_.losses.begin() + logged_;
      progress.mean_loss = std::accumulate(first, result_.losses.end(), 0.0) /
                           static_cast<double>(result_.losses.end() - first);
      logged_ = static_cast<std::int64_t>(result_.losses.size());
    }
    if (events_.step) events_.step(progress);
  }

  bool wants_norm() const { return config_.max_grad_norm || logs_.is_due(step_); }

  // One step of the optimizer. The norm of the gradients where it is asked for.
  std::optional<double> update(const StepLoss& found) {
    const NamedScope scope(kOptimizerScope);
    std::optional<double> norm;
    if (scale_.is_on()) scale_.update(found.is_overflow);
    if (found.is_overflow) return leave_out(found);
    if (task_.methods != nullptr) task_.methods->before_step(step_, planned_);
    if (wants_norm()) {
      const bool is_known = found.norm.defined();
      const at::Tensor own = is_known ? found.norm : gradient_norm(task_.parameters);
      if (config_.max_grad_norm) clip_gradients(task_.parameters, own, *config_.max_grad_norm);
      norm = is_known ? found.norm_value : (own.defined() ? own.item<double>() : 0);
      if (config_.max_grad_norm) result_.grad_norms.push_back(*norm);
    }
    const auto rate = [&](double initial) { return rate_now(initial); };
    optimizer_.change_rates(rate);
    optimizer_.step();
    if (task_.methods != nullptr) task_.methods->after_step(step_, planned_);
    result_.learning_rates.push_back(rate(config_.learning_rate));
    return norm;
  }

  double rate_now(double initial) const { return plateau_.rate(initial) * schedule_.factor(step_); }

  // A step whose gradients have overflowed: it has a loss, and nothing moves.
  std::optional<double> leave_out(const StepLoss& found) {
    ++result_.steps_left_out;
    result_.learning_rates.push_back(rate_now(config_.learning_rate));
    if (!config_.max_grad_norm) return std::nullopt;
    result_.grad_norms.push_back(found.norm_value);
    return found.norm_value;
  }

  // What is due between two steps. Whether to go on.
  bool run_events(const std::atomic<bool>& stop) {
    try {
      bool saves = saves_.is_due(step_) || (!saves_.is_never() && step_ == planned_);
      if (evaluates_.is_due(step_) && events_.evaluate) saves = evaluate() || saves;
      const bool is_asked = task_.ranks->is_alone() ? stop.load() : gradients_.is_wished();
      const bool stops = is_asked && step_ < planned_ && !result_.stopped_early;
      if ((saves || stops) && events_.save) events_.save(state());
      result_.interrupted = stops;
      return !stops;
    } catch (const Error& error) {
      return keep_failure(error);
    }
  }

  // Whether a checkpoint is wanted of it.
  bool evaluate() {
    Measures measures;
    {
      const GeneratorsKept kept(
          task_.parameters);  // an evaluation changes no number of the training
      measures = events_.evaluate(step_, order_.epochs_done());
    }
    if (config_.schedule.type == "reduce_lr_on_plateau") {
      plateau_.evaluated(best_.value_of(measures));
    }
    const bool is_best = best_.evaluated(measures, step_);
    result_.stopped_early = best_.is_enough();
    return is_best && config_.load_best_model_at_end;
  }

  TrainingState state() {
    TrainingState state;
    state.step = step_;
    state.epoch = order_.epochs_done();
    state.position = order_.position();
    state.batches_skipped = skipped_before_ + gradients_.batches_skipped();
    state.losses_logged = logged_;
    state.has_moved = result_.has_moved;
    state.went_negative = result_.went_negative;
    state.plateau = plateau_.state();
    state.best = best_.state();
    add_under(state.tensors, "parameter.", as_list(task_.parameters));
    add_under(state.tensors, "buffer.", as_list(task_.buffers));
    add_under(state.tensors, "untrained.", as_list(task_.untrained));
    add_under(state.tensors, "optimizer.", optimizer_.state());
    if (task_.methods != nullptr) add_under(state.tensors, "method.", task_.methods->state());
    add_generators(state.tensors, task_.parameters, *task_.ranks);
    if (scale_.is_on()) state.tensors.emplace_back("loss_scale", numbers_tensor(scale_.state()));
    state.tensors.emplace_back("losses", numbers_tensor(result_.losses));
    state.tensors.emplace_back("learning_rates", numbers_tensor(result_.learning_rates));
    state.tensors.emplace_back("grad_norms", numbers_tensor(result_.grad_norms));
    return state;
  }

  // Before the first update there is nothing to keep.
  bool keep_failure(const Error& given) {
    const bool is_full = is_out_of_memory(given.failure().message);
    const Error error = is_full ? out_of_memory(given, task_.device, config_.batch_size) : given;
    if (result_.steps == 0) throw error;
    result_.failure = error;
    return false;
  }

  // No loss was computed after the last update.
  void check_end() {
    if (result_.not_finite_step || result_.steps == 0) return;
    bool is_finite = all_finite(task_.parameters);
    if (is_finite && !result_.failure) is_finite = std::isfinite(gradients_.last_loss());
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
  const TrainingEvents& events_;
  BatchOrder order_;
  LossScale scale_;
  StepGradients gradients_;
  Optimizer optimizer_;
  LastGood last_good_;
  std::int64_t planned_;  // steps
  Schedule schedule_;
  Plateau plateau_;
  BestValue best_;
  Cadence evaluates_, saves_, logs_;
  std::int64_t step_ = 0;  // the last one taken
  std::int64_t skipped_before_ = 0;
  std::int64_t logged_ = 0;  // losses that are in a line of the log
  std::vector<double> times_;
  TrainingResult result_;
};

}  // namespace

TrainingResult train(const TrainingTask& task, const Dataset& data, const TrainConfig& config,
                     const TrainingEvents& events, const std::atomic<bool>& stop,
                     const TrainingState* from) {
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  at::manual_seed(config.seed + static_cast<std::uint64_t>(task.ranks->rank()));
  share_start(task);
  const at::AutoGradMode with_grad(true);
  return TrainingRun(task, data, config, events, from).run(stop);
}

}  // namespace tenon
