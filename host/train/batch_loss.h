#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "data/batches.h"
#include "objectives/loss_settings.h"

namespace tenon {

// The sum of a batch's losses, each with its share of what is judged in the step; undefined where
// all shares are 0.
at::Tensor sum_of_losses(const std::vector<LossSettings>& losses,
                         const std::vector<at::Tensor>& outputs, const Batch& batch,
                         const std::vector<double>& shares);

}  // namespace tenon
