#pragma once

#include <string>
#include <vector>

#include "plan/injection_plan.h"

namespace tenon {

// Says which of the plan's layers the model has by a second name. One module is one layer here,
// by whatever name the forward calls it; PEFT replaces the first name alone.
std::vector<std::string> alias_notes(const ModelData& model, const InjectionPlan& plan);

}  // namespace tenon
