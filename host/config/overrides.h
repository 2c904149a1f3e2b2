#pragma once

#include <toml++/toml.h>

#include <string>
#include <vector>

#include "config/problems.h"

namespace tenon {

// Applies each "section.key=VALUE" to the document, in order. KEY is a TOML key (a part with dots
// is quoted); VALUE is TOML, else it is taken as a plain string. The nodes set carry
// "--set section.key" as their source and the argument's number as their line.
void apply_overrides(toml::table& root, const std::vector<std::string>& overrides,
                     Problems& problems);

}  // namespace tenon
