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

// Whether a value in PEFT's config switches its key off: null, false, nothing in it. An empty table
// may stand for the defaults of what it switches on.
bool is_switched_off(const OptionValue& value);

// The value as the option holds it, an integer as a float where one is wanted; nothing if it does
// not fit.
std::optional<OptionValue> fitted(const DeclaredOption& option, const OptionValue& value);

// The declared options with what `given` says, under a former key too, else their defaults; keys of
// `given` that are not declared are left out. Whatever does not fit is added to `problems` and
// takes the default.
OptionTable complete_options(std::span<const DeclaredOption> declared, const OptionTable& given,
                             std::vector<OptionProblem>& problems);

}  // namespace tenon
