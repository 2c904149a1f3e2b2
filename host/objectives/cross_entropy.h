#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tenon {

constexpr std::int64_t kIgnoredClass = -100;  // torch.nn.functional's ignore_index

// The mean of -log softmax(scores)[target] over the rows whose target is not kIgnoredClass, as
// torch.nn.functional.cross_entropy. scores (n, classes), target (n) int64.
//
// Made for large vocabularies: rows are taken a block at a time, so that beside the scores and
// their gradient nothing of their size is ever held, and half precision is summed in float32
// without a copy of all scores. Differentiable once.
at::Tensor cross_entropy(const at::Tensor& scores, const at::Tensor& target);

}  // namespace tenon
