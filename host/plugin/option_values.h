#pragma once

#include <tenon/option.h>

#include <deque>
#include <vector>

#include "config/adapter_config.h"

namespace tenon {

// Arrays that values point to, kept where a plugin may look at them.
struct OptionViews {
  std::deque<std::vector<const char*>> strings;
  std::deque<std::vector<tenon_entry>> tables;
};

// The value as a plugin sees it; strings and lists point into `option`, lists of strings and tables
// into `views`.
tenon_value to_value(const OptionValue& option, OptionViews& views);

// A copy of what a plugin wrote; monostate for TENON_VALUE_NONE and for what is no option.
OptionValue to_option(const tenon_value& value);

}  // namespace tenon
