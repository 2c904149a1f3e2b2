#include "train/step_gradients.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "data/data_check.h"
#include "interpreter/named_scope.h"
#include "objectives/loss.h"
#include "train/batch_loss.h"
#include "train/gradient_norm.h"
#include "train/out_of_memory.h"

namespace tenon {
namespace {

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

std::vector<at::Tensor> run_forward(const TrainingTask& task, const Batch& batch) {
  const NamedScope scope(kForwardScope);
  return task.forward(batch.inputs, true);
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

// Whether any of these is more than nothing.
bool has_judged(const std::vector<double>& counts) {
  return std::ranges::any_of(counts, [](double count) { return count != 0; });
}

// Numbers of a device, those that there are, all by one wait for it.
std::vector<std::optional<double>> read_numbers(const std::vector<at::Tensor>& numbers) {
  std::vector<at::Tensor> wide;
  for (const at::Tensor& number : numbers) {
    if (number.defined()) wide.push_back(number.detach().to(at::kDouble));
  }
  std::vector<std::optional<double>> read(numbers.size());
  if (wide.empty()) return read;
  const at::Tensor here = at::stack(wide).to(at::kCPU);
  const auto* next = here.const_data_ptr<double>();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i].defined()) read[i] = *next++;
  }
  return read;
}

// Ids in the first input that holds rows of them.
std::int64_t count_tokens(const Batch& batch) {
  const auto holds_ids = [](const at::Tensor& input) {
    return input.dim() == 2 && c10::isIntegralType(input.scalar_type(), /*includeBool=*/false);
  };
  const auto found = std::ranges::find_if(batch.inputs, holds_ids);
  return found == batch.inputs.end() ? 0 : found->numel();
}

}  // namespace

StepGradients::StepGradients(const TrainingTask& task, const Dataset& data,
                             const TrainConfig& config, const LossScale& scale)
    : task_(task),
      data_(data),
      scale_(scale),
      losses_(loss_settings(config, task.objectives)),
      device_losses_(losses_on(task.device, losses_)),
      exchange_(task.ranks, task.parameters) {}

std::optional<StepGradients::Judged> StepGradients::count_labels(const std::vector<Batch>& batches,
                                                                 bool wish) {
  Judged judged;
  const std::size_t terms = losses_.size();
  std::vector<double> own(terms);
  double empty = 0;
  double rows = 0;
  double tokens = 0;
  for (const Batch& batch : batches) {
    const auto count = static_cast<std::int64_t>(batch.rows.size());
    std::vector<double>& counts = judged.counts.emplace_back();
    for (std::size_t i = 0; i < terms; ++i) {
      counts.push_back(count_judged(losses_[i], target_of(batch, i), count, batch.weights));
      own[i] += counts.back();
    }
    if (!has_judged(counts)) ++empty;
    rows += static_cast<double>(count);
    tokens += static_cast<double>(count_tokens(batch));
  }
  own.insert(own.end(), {empty, rows, tokens, wish ? 1.0 : 0.0});

  std::vector<double> sum(own.size());
  int rank = 0;
  for (const std::vector<double>& one : exchange_.share(own)) {
    if (rank++ < task_.ranks->rank() &&
        has_judged({one.begin(), one.begin() + static_cast<std::ptrdiff_t>(terms)})) {
      judged.is_first = false;
    }
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += one[i];
  }
  skipped_ += static_cast<std::int64_t>(sum[terms]);
  step_rows_ = static_cast<std::int64_t>(sum[terms + 1]);
  step_tokens_ = static_cast<std::int64_t>(sum[terms + 2]);
  is_wished_ = sum[terms + 3] > 0;
  sum.resize(terms);
  if (!has_judged(sum)) return std::nullopt;
  judged.all = std::move(sum);
  return judged;
}

std::optional<StepLoss> StepGradients::compute(const std::vector<Batch>& batches, std::int64_t step,
                                               std::int64_t steps, bool wish, bool wants_norm) {
  const auto judged = count_labels(batches, wish);
  if (!judged) return std::nullopt;
  judged_ = *judged;
  // The norm is of all ranks' gradients, and of what methods have made of them.
  const bool is_final = task_.ranks->is_alone() && task_.methods == nullptr;
  StepLoss own = compute_own(batches, step, steps, wants_norm && is_final);
  own.loss = exchange_.sum_gradients(own.loss);
  if (!task_.ranks->is_alone() && scale_.is_on()) {
    const at::Tensor overflow = scale_.unscale(task_.parameters);
    own.is_overflow = overflow.defined() && overflow.item<double>() > 0;
  }
  return own;
}

// Of this rank's batches. On the CPU a loss that is not finite ends it before its gradient; where a
// device would have to be waited for, all is computed first.
StepLoss StepGradients::compute_own(const std::vector<Batch>& batches, std::int64_t step,
                                    std::int64_t steps, bool wants_norm) {
  StepLoss own;
  at::Tensor sum;  // on a device
  bool regularised = !judged_.is_first;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    std::vector<double> shares;
    for (std::size_t term = 0; term < losses_.size(); ++term) {
      const double count = judged_.counts[i][term];
      shares.push_back(count == 0 ? 0 : count / judged_.all[term]);
    }
    if (!has_judged(shares)) continue;
    const Batch batch = with_targets_on(task_.device, batches[i]);
    at::Tensor loss = sum_of_losses(device_losses_, forward(batch), batch, shares);
    if (task_.methods != nullptr && !regularised) {  // once for the step's batches
      const at::Tensor term = task_.methods->regulariser(step, steps);
      if (term.defined()) loss = loss + term;
      regularised = true;
    }
    if (loss.is_cpu()) {
      const double value = loss.item<double>();
      own.loss = std::isfinite(value) ? own.loss + value : value;
      if (!std::isfinite(value)) return own;
    } else {
      sum = sum.defined() ? sum + loss.detach() : loss.detach();
    }
    backward(scale_.is_on() ? loss * scale_.value() : loss, task_, batch);
    last_rows_ = batches[i].rows;
  }
  at::Tensor overflow;
  if (task_.ranks->is_alone() && scale_.is_on()) overflow = scale_.unscale(task_.parameters);
  if (wants_norm) own.norm = gradient_norm(task_.parameters);
  const std::vector<std::optional<double>> read = read_numbers({sum, own.norm, overflow});
  own.loss = read[0].value_or(own.loss);
  own.norm_value = read[1].value_or(0);
  own.is_overflow = read[2].value_or(0) > 0;
  return own;
}

std::vector<at::Tensor> StepGradients::forward(const Batch& batch) {
  std::vector<at::Tensor> outputs;
  try {
    outputs = run_forward(task_, batch);
  } catch (const Error& error) {
    if (is_out_of_memory(error.failure().message)) throw;  // no row's fault
    Failure failure = error.failure();
    failure.message = failing_rows(task_, data_, batch, error) + ": " + failure.message;
    failure.location = data_.source;
    throw Error(std::move(failure));
  }
  if (!classes_checked_) {
    const auto classes = count_classes(losses_.front(), outputs, batch.target);
    if (classes) check_classes(data_, *classes);
    classes_checked_ = true;
  }
  return outputs;
}

void StepGradients::check() const {
  if (last_rows_.empty()) return;  // no row of the step was this rank's
  const Batch batch = take_batch(data_, last_rows_);
  const auto has_gradient = [](const at::Tensor& parameter) { return parameter.grad().defined(); };
  if (std::none_of(task_.parameters.begin(), task_.parameters.end(), has_gradient)) {
    fail_unreached("no trained parameter got a gradient", task_, batch);
  }
  for (const std::string& text : lost_gradients(task_, batch)) log::warning(text);
}

double StepGradients::last_loss() {
  const at::NoGradGuard no_grad;
  double own = 0;
  if (!last_rows_.empty()) {
    const Batch batch = with_targets_on(task_.device, take_batch(data_, last_rows_));
    const std::vector<double> shares(losses_.size(), 1);
    own = sum_of_losses(device_losses_, task_.forward(batch.inputs, false), batch, shares)
              .item<double>();
  }
  double sum = 0;
  for (const auto& one : exchange_.share({own})) sum += one.front();
  return sum;
}

void check_labels(const Dataset& data, const TrainConfig& config) {
  if (count_judged(LossSettings(config), data.target, data.rows) > 0) return;
  throw Error{
      {.stage = Stage::kData,
       .message = "no label of the data is judged: every one is the ignored class, -100, or "
                  "weighs nothing",
       .hint = "give labels to some rows; see [train] ignore_index and class_weight, [data] "
               "sample_weight",
       .location = data.source}};
}

}  // namespace tenon
