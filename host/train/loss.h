#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "train/metrics.h"

namespace tenon {

// The loss of the first output. nll, cross_entropy, mse, bce_with_logits as torch.nn.functional
// with mean reduction. Class scores are in the last dimension for sequences, (n, t, c) with targets
// (n, t), else in dimension 1; targets of -100 are ignored. mse and bce_with_logits take equal
// shapes, or (n, 1) with (n). causal_lm shifts inside; output is the first output itself, one
// number. Throws Error{Stage::kTraining} where shapes do not fit, naming both.
at::Tensor compute_loss(const std::string& loss, const std::vector<at::Tensor>& outputs,
                        const std::optional<at::Tensor>& target);

// Correct predictions and the number judged (targets of -100 are not), for losses that classify;
// nullopt for the others.
struct Accuracy {
  std::int64_t correct = 0;
  std::int64_t total = 0;
};
// Of a loss that judges classes, of how many its outputs give scores; nullopt for the others.
std::optional<std::int64_t> count_classes(const std::string& loss,
                                          const std::vector<at::Tensor>& outputs,
                                          const std::optional<at::Tensor>& target);

// What the metrics judge: classes that are not ignored, each a row; numbers and labels by the rows
// of the outputs. Nothing where the loss has no target.
std::optional<Predictions> predictions_of(const std::string& loss,
                                          const std::vector<at::Tensor>& outputs,
                                          const std::optional<at::Tensor>& target);
// Of what kind they are.
std::optional<Predictions::Kind> predictions_kind(const std::string& loss);

// What the mean of the loss is taken over: targets that are not ignored, or rows.
std::int64_t count_judged(const std::string& loss, const std::optional<at::Tensor>& target,
                          std::int64_t rows);
std::optional<Accuracy> count_correct(const std::string& loss,
                                      const std::vector<at::Tensor>& outputs,
                                      const std::optional<at::Tensor>& target);

}  // namespace tenon
