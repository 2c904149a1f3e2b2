#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <limits>

#include "base/error.h"
#include "train/batches.h"
#include "train/data_check.h"
#include "train/loss.h"
#include "train/trainer.h"

namespace tenon {

namespace {

[[noreturn]] void fail_evaluation(const Dataset& data) {
  throw Error{{.stage = Stage::kData,
               .message = "no label of the data is judged: every one is the ignored class, -100",
               .hint = "a mean over nothing is no loss; give labels to some rows",
               .location = data.source}};
}

// The mean of a loss over what it judges of all batches.
struct MeanLoss {
  double sum = 0;
  double weight = 0;

  void add(const LossSettings& loss, const std::vector<at::Tensor>& outputs, const Batch& batch,
           const at::Tensor& target) {
    const auto wanted = target.defined() ? std::optional(target) : std::nullopt;
    const auto rows = static_cast<std::int64_t>(batch.rows.size());
    const double judged = count_judged(loss, wanted, rows, batch.weights);
    if (judged == 0) return;
    sum += judged * compute_loss(loss, outputs, wanted, batch.weights).item<double>();
    weight += judged;
  }
};

std::optional<MetricSet> metrics_of(const TrainConfig& config, const Objectives& objectives) {
  if (config.metrics.empty()) return std::nullopt;
  const auto kind = predictions_kind(config);
  if (kind)
    return std::make_optional<MetricSet>(config.metrics, *kind, config.location, objectives);
  throw Error{{.stage = Stage::kConfig,
               .message = "[train] metrics cannot be measured where the loss is " + config.loss +
                          ": it judges no target by itself",
               .hint = "leave metrics out",
               .location = config.location}};
}

}  // namespace

std::optional<Evaluation> evaluate(const TrainingTask& task, const Dataset& data,
                                   const TrainConfig& training, const std::atomic<bool>& stop) {
  TrainConfig config = training;
  config.batch_size = training.eval_batch_size.value_or(training.batch_size);
  const bool drops_last = leaves_out_last(data, task.inputs, task.guards, config.batch_size);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const at::NoGradGuard no_grad;

  const std::vector<LossSettings> losses = loss_settings(config, task.objectives);
  const LossSettings& settings = losses.front();  // what is measured beside the losses
  std::vector<MeanLoss> others(losses.size() - 1);
  std::optional<MetricSet> metrics = metrics_of(config, task.objectives);
  double loss_sum = 0;
  double weight_sum = 0;
  std::optional<Accuracy> all;
  bool is_first = true;
  for (const auto& rows : epoch_batches(data, config, false, 0, drops_last)) {
    if (stop) return std::nullopt;
    const Batch batch = take_batch(data, rows);
    const std::vector<at::Tensor> outputs = task.forward(batch.inputs, false);
    if (is_first) {
      is_first = false;
      const auto classes = count_classes(settings, outputs, batch.target);
      if (classes) check_classes(data, *classes);
    }
    const double loss = compute_loss(settings, outputs, batch.target, batch.weights).item<double>();
    const auto accuracy = count_correct(settings, outputs, batch.target);
    // A batch's loss is a mean over what it judged; one that judged nothing has none.
    const auto rows_here = static_cast<std::int64_t>(rows.size());
    const bool is_weighted = settings.class_weight.defined() || batch.weights.defined();
    const double weight = is_weighted
                              ? count_judged(settings, batch.target, rows_here, batch.weights)
                              : static_cast<double>(accuracy ? accuracy->total : rows_here);
    for (std::size_t i = 0; i < others.size(); ++i) {
      others[i].add(losses[i + 1], outputs, batch, batch.other_targets[i]);
    }
    if (weight == 0) continue;
    if (metrics) metrics->add(*predictions_of(settings, outputs, batch.target));
    loss_sum += loss * weight;
    weight_sum += weight;
    if (!accuracy) continue;
    if (!all) all = Accuracy{};
    all->correct += accuracy->correct;
    all->total += accuracy->total;
  }
  if (weight_sum == 0) fail_evaluation(data);
  std::vector<double> means = {loss_sum / weight_sum};
  for (const MeanLoss& other : others) {
    if (other.weight == 0) fail_evaluation(data);
    means.push_back(other.sum / other.weight);
  }

  Evaluation evaluation;
  evaluation.loss = losses.size() == 1 ? means.front() : 0;
  evaluation.rows_left_out = rows_left_out(data, drops_last, config.batch_size);
  if (metrics) {
    evaluation.metrics = metrics->values();
    evaluation.confusion = metrics->confusion();
  }
  for (std::size_t i = 0; losses.size() > 1 && i < losses.size(); ++i) {
    evaluation.loss += losses[i].weight * means[i];
    evaluation.metrics["loss_" + std::to_string(i)] = means[i];
  }
  if (all)
    evaluation.accuracy = static_cast<double>(all->correct) / static_cast<double>(all->total);
  return evaluation;
}

Evaluation evaluate(const TrainingTask& task, const Dataset& data, const TrainConfig& config) {
  const std::atomic<bool> never{false};
  return *evaluate(task, data, config, never);
}

}  // namespace tenon
