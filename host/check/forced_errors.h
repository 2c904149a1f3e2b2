#pragma once

#include <string>

#include "check/trial_layer.h"

namespace tenon {

// Makes each call of the host's table fail in turn, first while an adapter is added, then while it
// runs and while it is merged. "" if each time the layer fails too, or comes to the same result
// without that call; else "forward succeeded with another result although call 3 (aten::add)
// failed".
std::string find_swallowed_errors(const TrialLayer& layer);

}  // namespace tenon
