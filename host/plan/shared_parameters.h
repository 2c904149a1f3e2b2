#pragma once

#include <string>
#include <vector>

#include "plan/injection_plan.h"

namespace tenon {

// The second pass over a plan's parameters: those that layers share get one shape, the largest that
// any layer asks for in each dimension. Returns a sentence for each that layers declare in ways
// that do not go together.
std::vector<std::string> settle_shared_parameters(std::vector<PlannedLayer>& layers);

}  // namespace tenon
