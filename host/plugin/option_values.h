#pragma once

#include <tenon/types.h>

#include <deque>
#include <vector>

#include "config/adapter_config.h"

namespace tenon {

// Views of strings, kept where a plugin may look at them.
using StringViews = std::deque<std::vector<tenon_str>>;

// The value as a plugin sees it; strings and lists point into `option`, lists of strings into
// `views`.
tenon_value to_value(const OptionValue& option, StringViews& views);

// A copy of what a plugin wrote; monostate for TENON_NONE and for what is no option.
OptionValue to_option(const tenon_value& value);

}  // namespace tenon
