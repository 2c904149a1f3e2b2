#pragma once

#include <string>

namespace tenon {

// What is wrong with an adapter's name, "must not ..."; "" if nothing. It is part of module paths,
// which dots join, and the name of a folder.
std::string adapter_name_problem(const std::string& name);

}  // namespace tenon
