#pragma once

#include "app/command_line.h"
#include "config/toml_reader.h"

namespace tenon {

// What the plugins that declare the keys of [adapter] find wrong with them.
FurtherProblems problems_of_adapters(const CommandLine& line);

}  // namespace tenon
