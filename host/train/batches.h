#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "config/run_config.h"
#include "model/graph.h"
#include "train/data_source.h"

namespace tenon {

// One batch: copies of some rows of a dataset, as a program may write into its inputs.
struct Batch {
  std::vector<at::Tensor> inputs;
  std::optional<at::Tensor> target;
};

Batch take_batch(const Dataset& data, const std::vector<std::int64_t>& rows);

// Whether the export fixed dimension 0 of an input. Throws Error{Stage::kTraining} where the batch
// size is not the fixed one, or the dataset does not fill one batch.
bool check_batch_size(const Dataset& data, const std::vector<InputSpec>& inputs,
                      std::int64_t batch_size);

}  // namespace tenon
