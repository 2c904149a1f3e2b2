#pragma once

#include <cstddef>
#include <string>

namespace tenon {

// What an address holds: file:// is read here, http:// and https:// by the system's libcurl, which
// is loaded when the first of those is asked for. Throws Error{kPlugins}, for more than `most`
// bytes too; where libcurl is missing, with the package that has it.
std::string fetch(const std::string& url, std::size_t most);

}  // namespace tenon
