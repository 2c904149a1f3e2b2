#include "targets/name_patterns.h"

#include <cctype>

namespace tenon {

std::string exact_pattern(std::string_view path) {
  std::string pattern = "^";
  for (const char c : path) {
    // Of a letter outside ASCII every byte stays as it is.
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = std::isalnum(byte) != 0 || c == '_' || byte >= 0x80;
    if (!is_plain) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace tenon
