#pragma once

#include <string>

namespace tenon {

// How a config's entry means a module or parameter: by its path or by what follows one of its dots.
inline bool is_named(const std::string& path, const std::string& entry) {
  return path == entry || path.ends_with("." + entry);
}

// Whether a path is the outer module or something in it.
inline bool lies_in(const std::string& path, const std::string& outer) {
  return path == outer || path.starts_with(outer + ".");
}

}  // namespace tenon
