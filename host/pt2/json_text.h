#pragma once

#include <cstddef>
#include <string_view>

namespace tenon {

// How large a JSON text is when parsed, counted without parsing: readers ask first, so that a
// hostile text can neither overflow the stack nor exhaust the memory.
struct JsonExtent {
  std::size_t depth = 0;           // to which arrays and objects nest
  std::size_t values = 0;          // keys, values and brackets, roughly
  std::size_t longest_string = 0;  // in bytes
};
JsonExtent json_extent(std::string_view text);

}  // namespace tenon
