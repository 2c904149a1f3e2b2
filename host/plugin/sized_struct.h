#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace tenon {

// A plugin's struct as this host knows it: fields that the plugin's SDK did not have yet are zero,
// fields that this host does not know yet are left out.
template <typename T>
T read_sized(const T& from) {
  T full{};
  std::memcpy(&full, &from, std::min<std::size_t>(from.struct_size, sizeof full));
  full.struct_size = sizeof full;
  return full;
}

}  // namespace tenon
