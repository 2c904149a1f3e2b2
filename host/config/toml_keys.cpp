#include "config/toml_keys.h"

#include <algorithm>
#include <cctype>
#include <string>

namespace tenon {
namespace {

constexpr std::size_t kDeepestKey = 256;

// The index behind the string that begins with a quote at `begin`: 'x', "x", '''x''' or """x""".
std::size_t end_of_string(std::string_view text, std::size_t begin) {
  const char quote = text[begin];
  const bool is_long = text.substr(begin, 3) == std::string(3, quote);
  const std::string_view end = text.substr(begin, is_long ? 3 : 1);
  std::size_t index = begin + end.size();
  while (index < text.size() && !text.substr(index).starts_with(end)) {
    if (!is_long && text[index] == '\n') return index;
    index += quote == '"' && text[index] == '\\' ? 2 : 1;
  }
  return std::min(index + end.size(), text.size());
}

bool may_stand_in_key(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_' ||
         character == '-' || character == ' ' || character == '\t';
}

}  // namespace

std::optional<std::size_t> find_deep_key(std::string_view text) {
  std::size_t begin = 0;  // of what may be a key
  std::size_t dots = 0;
  for (std::size_t index = 0; index < text.size();) {
    const char character = text[index];
    if (character == '"' || character == '\'') {
      index = end_of_string(text, index);
    } else if (character == '.') {
      if (++dots == kDeepestKey) return begin;
      ++index;
    } else if (may_stand_in_key(character)) {
      ++index;
    } else {
      if (character == '#') index = std::min(text.find('\n', index), text.size() - 1);
      begin = ++index;
      dots = 0;
    }
  }
  return std::nullopt;
}

}  // namespace tenon
