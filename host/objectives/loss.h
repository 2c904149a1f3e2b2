#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "config/run_config.h"
#include "objectives/loss_settings.h"
#include "objectives/metrics.h"

namespace tenon {

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
