#pragma once

#include <cstddef>

namespace tenon {

// Threads of this process.
std::size_t thread_count();

// Whether this process has started others that have not been waited for.
bool has_children();

}  // namespace tenon
