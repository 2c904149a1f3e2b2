#pragma once

#include <string>
#include <vector>

#include "config/adapter_config.h"

namespace tenon {

// An [adapter] of which only some keys are given, each "key=VALUE": VALUE is TOML, else a plain
// string. Throws Error{kConfig} with all that is wrong with them.
AdapterConfig read_adapter_keys(const std::vector<std::string>& keys);

}  // namespace tenon
