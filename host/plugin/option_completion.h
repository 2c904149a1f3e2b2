#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugin/declared_options.h"

namespace tenon {

// What is wrong with the value of one key.
struct OptionProblem {
  std::string key;
  std::string text;  // "must be an integer of at least 1, not 0"
};

// The value as the option holds it, an integer as a float where one is wanted; nothing if it does
// not fit.
std::optional<OptionValue> fitted(const DeclaredOption& option, const OptionValue& value);

// The declared options with what `given` says, under a former key too, else their defaults; keys of
// `given` that are not declared are left out. Whatever does not fit is added to `problems` and
// takes the default.
OptionTable complete_options(std::span<const DeclaredOption> declared, const OptionTable& given,
                             std::vector<OptionProblem>& problems);

}  // namespace tenon
