#pragma once

#include <vector>

#include "adapted/folded_module.h"
#include "config/adapter_config.h"
#include "graph/graph.h"
#include "interpreter/interpreter.h"

namespace tenon {

// The modules that `rule` names, as target_modules would ([train] checkpoint). Throws
// Error{kInjection} for an entry that matches nothing, and where one module lies in another.
std::vector<ModuleId> modules_to_checkpoint(const ModelData& model, const ModuleRule& rule);

// Folds all that runs in each module, layers included, into one replacement that keeps only what
// goes in (interpreter/checkpoint.h). Throws Error{kInjection} for a module that does not run as a
// whole.
std::vector<Replacement> checkpoint_modules(const ModelData& model,
                                            std::vector<LayerReplacement> replacements,
                                            const std::vector<ModuleId>& modules);

}  // namespace tenon
