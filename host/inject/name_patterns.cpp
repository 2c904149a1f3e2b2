#include "inject/name_patterns.h"

#include <cctype>

namespace tenon {

std::string exact_pattern(std::string_view path) {
  std::string pattern = "^";
  for (const char c : path) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    if (!is_plain) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace tenon
