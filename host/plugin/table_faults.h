#pragma once

#include <tenon/plugin.h>

#include <string>

namespace tenon {

// What is wrong with what a plugin offers, by the grammar and the rules of the SDK's headers; "" if
// nothing is. Whatever else reads the table may rely on it.
std::string find_table_fault(const tenon_plugin& table, const tenon_stamp& stamp);

}  // namespace tenon
