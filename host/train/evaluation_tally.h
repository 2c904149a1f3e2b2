#pragma once

#include <optional>
#include <vector>

#include "config/run_config.h"
#include "data/batches.h"
#include "objectives/loss.h"
#include "objectives/metrics.h"
#include "objectives/objectives.h"
#include "train/trainer.h"

namespace tenon {

// What an evaluation counts over its batches.
class EvaluationTally {
 public:
  // Borrows the losses. Throws Error{kConfig} for metrics that cannot be measured of the first.
  EvaluationTally(const std::vector<LossSettings>& losses, const TrainConfig& config,
                  const Objectives& objectives);

  void add(const Batch& batch, const std::vector<at::Tensor>& outputs);

  // All of it as numbers; and another's of the same losses counted in.
  std::vector<std::vector<double>> counted() const;
  void count_in(const std::vector<std::vector<double>>& other);

  // Throws Error{kData} where a loss judged nothing.
  Evaluation result(const Dataset& data) const;

 private:
  // The mean of a loss over what it judged.
  struct MeanLoss {
    double sum = 0;
    double weight = 0;
  };

  const std::vector<LossSettings>& losses_;
  std::vector<LossSettings> device_losses_;  // where the outputs are; from the first batch on
  std::vector<MeanLoss> means_;              // of each loss
  std::optional<MetricSet> metrics_;
  double correct_ = 0;
  double classified_ = 0;  // of which they are
};

}  // namespace tenon
