#pragma once

#include <string>
#include <vector>

#include "plan/injection_plan.h"

namespace tenon {

// Other modules, neither around this one nor in it, that hold one of its tensors under a name of
// their own, and run.
std::vector<ModuleId> tied_modules(const ModelData& model, ModuleId module);

// Whether the tensors of a saved adapter lack those of a layer that ensure_weight_tying would train
// with a saved module: PEFT ties embed_tokens and lm_head, by these names.
bool is_left_apart(const AdapterConfig& config, const std::string& path);

// Tells what an adapter does to layers that share their weight with another one (PEFT:
// BaseTuner._check_tied_modules); layers to save and to adapt at once, where ensure_weight_tying is
// set, go to `problems`.
void check_tied_layers(const ModelData& model, InjectionPlan& plan,
                       std::vector<std::string>& problems);

}  // namespace tenon
