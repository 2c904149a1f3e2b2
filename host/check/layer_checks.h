#pragma once

#include <chrono>
#include <functional>

#include "check/rules.h"
#include "check/trial_layer.h"

namespace tenon {

// All rules per layer, each with what was found or why it could not be tried. `make_base` is called
// in the children only.
Findings check_layer(const LayerUnderCheck& layer, const std::function<TrialBase()>& make_base,
                     std::chrono::milliseconds time_limit);

}  // namespace tenon
