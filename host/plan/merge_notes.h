#pragma once

#include <string>
#include <vector>

#include "plan/injection_plan.h"

namespace tenon {

// What of a planned adapter cannot be merged, and why, so that it is known before hours of
// training. One sentence for each reason.
std::vector<std::string> merge_notes(const ModelData& model, const InjectionPlan& plan);

}  // namespace tenon
