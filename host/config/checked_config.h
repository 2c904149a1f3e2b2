#pragma once

#include "config/adapter_config.h"

namespace tenon {

// An AdapterConfig that C++ code filled in, held to what read_lora_keys holds a file to. Throws
// Error{kConfig} with all that is wrong.
AdapterConfig checked_config(AdapterConfig config);

}  // namespace tenon
