#pragma once

#include <tenon/value.h>

#include <vector>

#include "plugin/declared_options.h"
#include "plugin/handles.h"

namespace tenon {

// Puts a value that a plugin gives for one of its method's keys into the table, in the form that
// the key has. TENON_INVALID_ARGUMENT with the reason where there is no such key or it does not
// fit.
tenon_status put_declared(const std::vector<DeclaredOption>& declared, const char* key,
                          const tenon_value& value, OptionTable& table, tenon_error* error);

}  // namespace tenon
