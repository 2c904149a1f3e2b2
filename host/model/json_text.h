#pragma once

#include <cstddef>
#include <string_view>

namespace tenon {

// How deeply arrays and objects nest in a JSON text, counted without parsing: recursive readers ask
// first, so that a hostile text cannot overflow the stack.
std::size_t json_depth(std::string_view text);

}  // namespace tenon
