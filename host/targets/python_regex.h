#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tenon {

// The Perl form of an expression in the dialect of Python's re, which PEFT and its files use:
// (?P<n>...), (?P=n), \Z, {,3}, sets as Python reads them. Throws std::invalid_argument saying what
// Python would refuse too.
std::string to_perl_regex(std::string_view python);

// A compiled regular expression of a config, in Python's dialect. It names the key it came from
// when it fails. Throws Error{kInjection}.
class PythonRegex {
 public:
  PythonRegex(std::string key, std::string pattern);
  ~PythonRegex();
  PythonRegex(PythonRegex&&) noexcept;
  PythonRegex& operator=(PythonRegex&&) noexcept;

  bool full_match(const std::string& text) const;  // re.fullmatch
  // What the group took where the expression matches from the start on, as in re.match; nothing if
  // it does not match or the group took no part.
  std::optional<std::string> group_at_start(const std::string& text, const char* group) const;

 private:
  struct Compiled;
  [[noreturn]] void fail_too_complex() const;

  std::string key_;
  std::string pattern_;
  std::unique_ptr<const Compiled> compiled_;
};

}  // namespace tenon
