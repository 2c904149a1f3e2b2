#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "config/run_config.h"
#include "graph/graph.h"
#include "objectives/loss_kind.h"

namespace tenon {

// Whether every value of `from` is meant to survive in `to`: integers only where each value is
// exact, floats to any float (as PyTorch's .float() and .half() would), floats never to integers.
bool is_fitting_cast(at::ScalarType from, at::ScalarType to);

// `tensor` cast to what the model's input takes. What does not fit (dtype, rank, a fixed dimension
// other than the rows) is appended to `problems`, beginning with `label`, and the tensor is
// returned as it was.
at::Tensor fit_input(const at::Tensor& tensor, const InputSpec& input, const std::string& label,
                     std::vector<std::string>& problems);

// `target` as the loss takes it: int64 for classes and tokens, floating for numbers.
at::Tensor fit_target(const at::Tensor& target, const LossKind& loss, const std::string& label,
                      std::vector<std::string>& problems);

// What the loss cannot judge: bce_with_logits takes probabilities, from 0 to 1.
void check_target(const at::Tensor& target, const LossKind& loss, const std::string& label,
                  std::vector<std::string>& problems);

// Weights of the rows as float64: one number each, at least 0 and finite, and not all 0.
at::Tensor fit_weights(const at::Tensor& weights, const std::string& label,
                       std::vector<std::string>& problems);
void check_weights(const at::Tensor& weights, std::int64_t rows,
                   std::vector<std::string>& problems);

// One Error{Stage::kData} that lists all `problems`; nothing where there are none.
void throw_data_problems(const std::vector<std::string>& problems, const std::string& source,
                         const std::string& hint);

}  // namespace tenon
