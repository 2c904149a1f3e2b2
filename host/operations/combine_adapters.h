#pragma once

#include <tenon/combine_options.h>

#include <string>
#include <vector>

#include "adapter/adapter_store.h"
#include "plugin/method.h"

namespace tenon {

// All combination types.
const std::vector<std::string>& combination_types();

// Adapters of factors as one whose scaling is 1, from their folders alone (PEFT:
// add_weighted_adapter). A module that one adapter saves whole goes over as it is. Throws
// Error{Stage::kAdapter} with everything that stands against it: other methods, magnitudes, starts
// that change the base, a module that two save, ranks that differ where they must not, other bases.
AdapterFiles combine_adapters(const std::vector<AdapterFiles>& adapters, const MethodTable& methods,
                              const CombineOptions& options);

}  // namespace tenon
