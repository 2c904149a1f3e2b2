#pragma once

#include <string>
#include <vector>

#include "adapter/adapter_store.h"

namespace tenon {

// Takes the tensors of modules on which the adapter does nothing (InjectionPlan::idle) out of its
// files.
std::vector<AdapterTensor> take_idle_tensors(const std::vector<std::string>& idle,
                                             AdapterFiles& files);

}  // namespace tenon
