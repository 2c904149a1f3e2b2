#include "train/evaluation_tally.h"

#include "base/error.h"

namespace tenon {

namespace {

[[noreturn]] void fail_evaluation(const Dataset& data) {
  throw Error{{.stage = Stage::kData,
               .message = "no label of the data is judged: every one is the ignored class, -100",
               .hint = "a mean over nothing is no loss; give labels to some rows",
               .location = data.source}};
}

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

EvaluationTally::EvaluationTally(const std::vector<LossSettings>& losses, const TrainConfig& config,
                                 const Objectives& objectives)
    : losses_(losses), means_(losses.size()), metrics_(metrics_of(config, objectives)) {}

// Labels are counted where they are, on the CPU; the losses are computed where the outputs are.
void EvaluationTally::add(const Batch& batch, const std::vector<at::Tensor>& outputs) {
  const c10::Device device = outputs.empty() ? c10::kCPU : outputs.front().device();
  if (device_losses_.empty()) device_losses_ = losses_on(device, losses_);
  const Batch near = with_targets_on(device, batch);
  const auto rows = static_cast<std::int64_t>(batch.rows.size());
  for (std::size_t i = 1; i < losses_.size(); ++i) {
    const double judged = count_judged(losses_[i], target_of(batch, i), rows, batch.weights);
    if (judged == 0) continue;
    means_[i].sum +=
        judged *
        compute_loss(device_losses_[i], outputs, target_of(near, i), near.weights).item<double>();
    means_[i].weight += judged;
  }
  const LossSettings& first = losses_.front();  // what is measured beside the losses
  const double loss =
      compute_loss(device_losses_.front(), outputs, near.target, near.weights).item<double>();
  const auto accuracy = count_correct(first, outputs, near.target);
  // A batch's loss is a mean over what it judged; one that judged nothing has none.
  const bool is_weighted = first.class_weight.defined() || batch.weights.defined();
  const double weight = is_weighted ? count_judged(first, batch.target, rows, batch.weights)
                                    : static_cast<double>(accuracy ? accuracy->total : rows);
  if (weight == 0) return;
  if (metrics_) {
    Predictions said = *predictions_of(first, outputs, near.target);
    said.scores = said.scores.to(at::kCPU);
    said.truth = said.truth.to(at::kCPU);
    metrics_->add(said);
  }
  means_.front().sum += loss * weight;
  means_.front().weight += weight;
  if (!accuracy) return;
  correct_ += static_cast<double>(accuracy->correct);
  classified_ += static_cast<double>(accuracy->total);
}

std::vector<std::vector<double>> EvaluationTally::counted() const {
  std::vector<double> numbers = {correct_, classified_};
  for (const MeanLoss& mean : means_) {
    numbers.push_back(mean.sum);
    numbers.push_back(mean.weight);
  }
  std::vector<std::vector<double>> all = {std::move(numbers)};
  if (!metrics_) return all;
  for (std::vector<double>& counted : metrics_->counted()) all.push_back(std::move(counted));
  return all;
}

void EvaluationTally::count_in(const std::vector<std::vector<double>>& other) {
  const std::vector<double>& numbers = other.at(0);
  correct_ += numbers.at(0);
  classified_ += numbers.at(1);
  for (std::size_t i = 0; i < means_.size(); ++i) {
    means_[i].sum += numbers.at(2 + 2 * i);
    means_[i].weight += numbers.at(3 + 2 * i);
  }
  for (std::size_t i = 1; i < other.size(); ++i) metrics_->count_in(i - 1, other[i]);
}

Evaluation EvaluationTally::result(const Dataset& data) const {
  std::vector<double> values;
  for (const MeanLoss& mean : means_) {
    if (mean.weight == 0) fail_evaluation(data);
    values.push_back(mean.sum / mean.weight);
  }
  Evaluation evaluation;
  evaluation.loss = losses_.size() == 1 ? values.front() : 0;
  if (metrics_) {
    evaluation.metrics = metrics_->values();
    evaluation.confusion = metrics_->confusion();
  }
  for (std::size_t i = 0; losses_.size() > 1 && i < losses_.size(); ++i) {
    evaluation.loss += losses_[i].weight * values[i];
    evaluation.metrics["loss_" + std::to_string(i)] = values[i];
  }
  if (classified_ > 0) evaluation.accuracy = correct_ / classified_;
  return evaluation;
}

}  // namespace tenon
