#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "train/profiler.h"

namespace tenon {

// A table with the share of each part in a step.
std::string profile_text(const StepProfile& profile);
nlohmann::ordered_json profile_json(const StepProfile& profile);

}  // namespace tenon
