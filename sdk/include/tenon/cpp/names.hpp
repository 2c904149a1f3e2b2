// The grammar of names that cross the boundary: the headers' words for it as functions, which the
// compiler asks for a plugin in C++ and the host for every other.
#pragma once

#include <cstddef>
#include <string_view>

namespace tenon __attribute__((visibility("hidden"))) {
  namespace names {

  constexpr std::size_t kLongestId = 63;
  constexpr std::size_t kLongestVersion = 31;
  constexpr std::size_t kLongestParameter = 255;

  constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
  constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
  constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

  // Of a plugin or layer type: "acme.lora-lstm".
  constexpr bool is_id(std::string_view id) {
    if (id.empty() || id.size() > kLongestId) return false;
    bool has_dot = false;
    bool joins = true;  // what stands before is nothing, or joins parts
    for (const char c : id) {
      const bool is_word = is_lower(c) || is_digit(c);
      if (!is_word && (joins || (c != '.' && c != '-' && c != '_'))) return false;
      has_dot = has_dot || c == '.';
      joins = !is_word;
    }
    return has_dot && !joins;
  }

  // Three numbers, and what semver.org allows behind them: "1.0.0-rc.1".
  constexpr bool is_version(std::string_view version) {
    if (version.size() > kLongestVersion) return false;
    std::size_t at = 0;
    for (int part = 0; part < 3; ++part) {
      if (part > 0 && (at >= version.size() || version[at++] != '.')) return false;
      const std::size_t first = at;
      while (at < version.size() && is_digit(version[at])) ++at;
      if (at == first) return false;
    }
    if (at == version.size()) return true;
    if (version[at] != '-' && version[at] != '+') return false;
    for (const char c : version.substr(at)) {
      if (!is_lower(c) && !is_upper(c) && !is_digit(c) && c != '-' && c != '+' && c != '.') {
        return false;
      }
    }
    return at + 1 < version.size();
  }

  // "trainable_tokens"
  constexpr bool is_method(std::string_view name) {
    if (name.empty() || name.size() > kLongestId || !is_lower(name[0])) return false;
    for (const char c : name) {
      if (!is_lower(c) && !is_digit(c) && c != '_') return false;
    }
    return true;
  }

  // "TRAINABLE_TOKENS"
  constexpr bool is_peft_type(std::string_view name) {
    if (name.empty() || name.size() > kLongestId) return false;
    for (const char c : name) {
      if (!is_upper(c) && !is_digit(c) && c != '_') return false;
    }
    return true;
  }

  // Of an option: "feedforward_modules", "deltaT".
  constexpr bool is_key(std::string_view key) {
    if (key.empty() || key.size() > kLongestId || (!is_lower(key[0]) && !is_upper(key[0]))) {
      return false;
    }
    for (const char c : key) {
      if (!is_lower(c) && !is_upper(c) && !is_digit(c) && c != '_') return false;
    }
    return true;
  }

  // Of a parameter behind its module's path: "lora_A.weight".
  constexpr bool is_parameter(std::string_view name) {
    if (name.empty() || name.size() > kLongestParameter) return false;
    bool at_start = true;  // of a part
    for (const char c : name) {
      if (c <= ' ' || c > '~' || c == '/' || c == '\\' || c == '"' || c == '\'') return false;
      if (c == '.' && at_start) return false;
      at_start = c == '.';
    }
    return !at_start;
  }

  // A type that a layer type serves: "torch.nn.Linear", "*.MyScale".
  constexpr bool is_type(std::string_view type) {
    if (type.starts_with("*.")) type.remove_prefix(2);
    if (type.empty()) return false;
    bool at_start = true;  // of a part
    for (const char c : type) {
      const bool is_word =
          is_lower(c) || is_upper(c) || is_digit(c) || c == '_' || c == '<' || c == '>';
      if (!is_word && (c != '.' || at_start)) return false;
      at_start = c == '.';
    }
    return !at_start;
  }

  // Several of them, separated by ';'.
  constexpr bool are_types(std::string_view types) {
    while (true) {
      const std::size_t end = types.find(';');
      if (!is_type(types.substr(0, end))) return false;
      if (end == std::string_view::npos) return true;
      types.remove_prefix(end + 1);
    }
  }

  // A title, a sentence: printable, on one line.
  constexpr bool is_line(std::string_view text) {
    for (const char c : text) {
      if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') return false;
    }
    return true;
  }

  }  // namespace names
}  // namespace tenon
