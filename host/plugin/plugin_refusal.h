#pragma once

#include <string>

namespace tenon {

// Why a file is not taken as a plugin. `rule` is a short id for programs ("no-entry"), `reason` a
// sentence that names what was found, what was wanted, and which side to change.
struct PluginRefusal {
  std::string rule;
  std::string reason;
};

}  // namespace tenon
