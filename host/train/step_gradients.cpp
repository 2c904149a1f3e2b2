#include "train/step_gradients.h"

#include <ATen/core/grad_mode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "model/named_scope.h"
#include "train/data_check.h"
#include "train/loss.h"

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

at::Tensor loss_of(const std::vector<at::Tensor>& outputs, const Batch& batch,
                   const LossSettings& loss) {
  const NamedScope scope(kLossScope);
  return compute_loss(loss, outputs, batch.target, batch.weights);
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

Judged count_labels(const std::vector<Batch>& batches, const LossSettings& loss) {
  Judged judged;
  for (const Batch& batch : batches) {
    judged.counts.push_back(count_judged(
        loss, batch.target, static_cast<std::int64_t>(batch.rows.size()), batch.weights));
    if (judged.counts.back() == 0) ++judged.empty;
  }
  judged.all = std::accumulate(judged.counts.begin(), judged.counts.end(), 0.0);
  return judged;
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
                             const TrainConfig& config)
    : task_(task), data_(data), loss_(config) {}

std::optional<double> StepGradients::compute(const std::vector<Batch>& batches) {
  const Judged judged = count_labels(batches, loss_);
  skipped_ += judged.empty;
  if (judged.all == 0) return std::nullopt;
  double sum = 0;
  step_rows_ = 0;
  step_tokens_ = 0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    step_rows_ += static_cast<std::int64_t>(batches[i].rows.size());
    step_tokens_ += count_tokens(batches[i]);
    if (judged.counts[i] == 0) continue;
    at::Tensor loss = loss_of(forward(batches[i]), batches[i], loss_);
    if (batches.size() > 1) loss = loss * (judged.counts[i] / judged.all);
    const double value = loss.item<double>();
    if (!std::isfinite(value)) return value;
    backward(loss, task_, batches[i]);
    sum += value;
    last_rows_ = batches[i].rows;
  }
  return sum;
}

std::vector<at::Tensor> StepGradients::forward(const Batch& batch) {
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
    const auto classes = count_classes(loss_, outputs, batch.target);
    if (classes) check_classes(data_, *classes);
    classes_checked_ = true;
  }
  return outputs;
}

void StepGradients::check() const {
  const Batch batch = take_batch(data_, last_rows_);
  const auto has_gradient = [](const at::Tensor& parameter) { return parameter.grad().defined(); };
  if (std::none_of(task_.parameters.begin(), task_.parameters.end(), has_gradient)) {
    fail_unreached("no trained parameter got a gradient", task_, batch);
  }
  for (const std::string& text : lost_gradients(task_, batch)) log::warning(text);
}

double StepGradients::last_loss() const {
  const at::NoGradGuard no_grad;
  const Batch batch = take_batch(data_, last_rows_);
  return compute_loss(loss_, task_.forward(batch.inputs, false), batch.target, batch.weights)
      .item<double>();
}

void check_labels(const Dataset& data, const TrainConfig& config) {
  if (count_judged(LossSettings(config.loss), data.target, data.rows) > 0) return;
  throw Error{{.stage = Stage::kData,
               .message = "no label of the data is judged: every one is the ignored class, -100",
               .hint = "give labels to some rows",
               .location = data.source}};
}

}  // namespace tenon
