#pragma once

#include <tenon/draft/keys.h>

#include <vector>

#include "plugin/declared_options.h"
#include "plugin/option_completion.h"

// What a method refuses and replaces of its keys while it settles them.
struct tenon_keys {
  const std::vector<tenon::DeclaredOption>* declared = nullptr;
  std::vector<tenon::OptionProblem> problems = {};
  tenon::OptionTable replaced = {};
};

namespace tenon {

// What tenon_host.extension(TENON_KEYS) answers.
const tenon_keys_host& keys_host();

}  // namespace tenon
