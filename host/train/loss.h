#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/run_config.h"
#include "train/loss_kind.h"
#include "train/metrics.h"
#include "train/objectives.h"

namespace tenon {

// A loss, and what changes it. A plain name is the loss of the first output without changes.
struct LossSettings : LossKind {
  LossSettings(std::string loss) : LossKind(std::move(loss)) {}  // NOLINT
  LossSettings(const char* loss) : LossKind(loss) {}             // NOLINT
  // Throws Error{kConfig} for an output that is none.
  explicit LossSettings(const LossTerm& term, std::shared_ptr<const BoundLoss> plugin = nullptr);

  std::size_t output = 0;                   // which of the model's outputs it sees
  double label_smoothing = 0;               // of cross_entropy and causal_lm
  at::Tensor class_weight;                  // float64; undefined: all weigh 1
  bool is_balanced = false;                 // it has no class behind the last that occurs
  at::Tensor pos_weight;                    // of bce_with_logits, float64
  double weight = 1;                        // in the sum of several
  std::shared_ptr<const BoundLoss> plugin;  // whose loss it is; nullptr: the host's own
};

// Those of [train], in their order.
std::vector<LossSettings> loss_settings(const TrainConfig& config,
                                        const Objectives& objectives = {});

// As torch.nn.functional's functions with mean reduction. Class scores are in the last dimension
// for sequences, (n, t, c) with targets (n, t), else in dimension 1; targets of -100 are ignored.
// Losses of numbers take equal shapes, or (n, 1) with (n). causal_lm shifts inside;
// cosine_embedding takes the output and the one after it; output is the output itself, one number.
// With `weights`, one for each row, the mean is a weighted one. Throws Error{Stage::kTraining}
// where shapes do not fit, naming both.
at::Tensor compute_loss(const LossSettings& loss, const std::vector<at::Tensor>& outputs,
                        const std::optional<at::Tensor>& target, const at::Tensor& weights = {});

// Of a loss that judges classes, of how many its outputs give scores; nullopt for the others.
std::optional<std::int64_t> count_classes(const LossSettings& loss,
                                          const std::vector<at::Tensor>& outputs,
                                          const std::optional<at::Tensor>& target);

// What the metrics judge: classes that are not ignored, each a row; numbers and labels by the rows
// of the outputs. Nothing where the loss has no target.
std::optional<Predictions> predictions_of(const LossSettings& loss,
                                          const std::vector<at::Tensor>& outputs,
                                          const std::optional<at::Tensor>& target);
// Of what kind they are.
std::optional<Predictions::Kind> predictions_kind(const LossKind& loss);

// What the mean of the loss is taken over: targets that are not ignored, or rows, each as its class
// and its row weigh.
double count_judged(const LossSettings& loss, const std::optional<at::Tensor>& target,
                    std::int64_t rows, const at::Tensor& weights = {});

// Correct predictions and the number judged (targets of -100 are not), for losses that classify;
// nullopt for the others.
struct Accuracy {
  std::int64_t correct = 0;
  std::int64_t total = 0;
};
std::optional<Accuracy> count_correct(const LossSettings& loss,
                                      const std::vector<at::Tensor>& outputs,
                                      const std::optional<at::Tensor>& target);

// [train] class_weight = "balanced" as the weights of each class, from the rows that are trained
// on: rows / (classes * rows of the class) (scikit-learn).
void balance_classes(LossTerm& term, const at::Tensor& target);

}  // namespace tenon
