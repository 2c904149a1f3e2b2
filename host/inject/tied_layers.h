#pragma once

#include <string>
#include <vector>

#include "inject/injection_plan.h"

namespace tenon {

// Other modules that hold one of this module's tensors under a name of their own, and run.
std::vector<ModuleId> tied_modules(const ModelData& model, ModuleId module);

// Tells what an adapter does to layers that share their weight with another one (PEFT:
// BaseTuner._check_tied_modules); layers to save and to adapt at once, where ensure_weight_tying is
// set, go to `problems`.
void check_tied_layers(const ModelData& model, InjectionPlan& plan,
                       std::vector<std::string>& problems);

}  // namespace tenon
