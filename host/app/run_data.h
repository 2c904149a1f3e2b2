#pragma once

#include <optional>

#include "config/run_config.h"
#include "inject/adapted_model.h"
#include "train/data_source.h"

namespace tenon {

// [data] train, checked against the model.
Dataset training_data(const RunConfig& config, const AdaptedModel& model);

// [data] eval, if there is one. The columns of a CSV file are those of the training file, in
// whatever order they stand.
std::optional<Dataset> evaluation_data(const RunConfig& config, const AdaptedModel& model,
                                       const Dataset& training);

}  // namespace tenon
