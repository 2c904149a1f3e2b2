#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

namespace tenon {

// The loss of the first output. nll, cross_entropy, mse, bce_with_logits as torch.nn.functional with
// mean reduction (class scores in dimension 1, or the last one for sequences: (n, t, c) with targets
// (n, t)); causal_lm shifts inside and ignores -100; output is the mean of the first output itself.
// Throws Error{Stage::kTraining} where shapes do not fit, naming both.
at::Tensor compute_loss(const std::string& loss, const std::vector<at::Tensor>& outputs,
                        const std::optional<at::Tensor>& target);

// Correct predictions and the number judged, for losses that classify; nullopt for the others.
struct Accuracy {
  std::int64_t correct = 0;
  std::int64_t total = 0;
};
std::optional<Accuracy> count_correct(const std::string& loss,
                                      const std::vector<at::Tensor>& outputs,
                                      const std::optional<at::Tensor>& target);

}  // namespace tenon
