#pragma once

#include <string>
#include <vector>

#include "adapter/adapter_store.h"
#include "operations/combine_adapters.h"

// Whether adapters can be combined at all, and what the config of the whole is.
namespace tenon {

std::vector<std::string> combination_problems(const std::vector<AdapterFiles>& adapters,
                                              const MethodTable& methods,
                                              const CombineOptions& options);
// Throws Error{Stage::kAdapter} unless there is none.
void throw_combination_problems(const std::vector<std::string>& problems);

// All but the tensors: the config with a rank and an alpha that scale by 1, the base, the records.
AdapterFiles combined_header(const std::vector<AdapterFiles>& adapters, const Method& method,
                             const CombineOptions& options);

}  // namespace tenon
