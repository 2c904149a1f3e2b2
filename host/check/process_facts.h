#pragma once

#include <cstddef>

namespace tenon {

// Threads of this process.
std::size_t thread_count();

}  // namespace tenon
