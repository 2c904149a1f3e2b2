#pragma once

#include <string>
#include <vector>

#include "config/adapter_config.h"

namespace tenon {

// Which modules an adapter's rules select, with PEFT's meaning: a string is a regular expression
// over the whole dotted path, a list names whole paths or suffixes after a dot; modules to save and
// what lies inside them are never targets (PEFT: tuners_utils.check_target_module_exists). Stricter
// than PEFT in that every rule must select something.
struct TargetMatch {
  std::vector<std::string> targeted;    // in model order
  std::vector<std::string> parameters;  // target_parameters, full names in model order
  std::vector<std::string> saved;       // modules_to_save, in model order
  std::vector<std::string> notes;       // what matched nothing and may
};

// `paths`: all module paths of the model in model order, without the root; `parameters`: full names
// of all its parameters, likewise. Throws
// Error{kInjection}: a bad regex, nothing matched, an entry or pattern that matches nothing, with
// the nearest names; all problems at once.
TargetMatch match_targets(const AdapterConfig& config, const std::vector<std::string>& paths,
                          const std::vector<std::string>& parameters = {});

}  // namespace tenon
