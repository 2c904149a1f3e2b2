#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "config/run_config.h"
#include "data/data_source.h"

namespace tenon {

// What of a model, of its adapters and of data is not finite, by file and row, for a hint where a
// result is not: one line each, the first few; "" where all of it is finite.
std::string not_finite_causes(const AdaptedModel& model, const ModelConfig& config,
                              const std::vector<const Dataset*>& data);

}  // namespace tenon
