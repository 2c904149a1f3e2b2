#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "check/rules.h"
#include "check/trial_layer.h"

namespace tenon {

using MakeTrialBase = std::function<TrialBase()>;

// All rules per layer, each with what was found or why it could not be tried, on the first of the
// bases that the layer type does not refuse. They are made in the children only.
Findings check_layer(const LayerUnderCheck& layer, const std::vector<MakeTrialBase>& bases,
                     std::chrono::milliseconds time_limit);

}  // namespace tenon
