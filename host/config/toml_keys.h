#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace tenon {

// Where a key of more than 256 parts (a.b.c...) begins in a TOML text, as an index. The parser
// makes a table in a table of each part, without a limit, and to free them would overflow the
// stack.
std::optional<std::size_t> find_deep_key(std::string_view text);

}  // namespace tenon
