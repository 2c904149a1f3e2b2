#include "targets/python_regex.h"

#include <boost/regex.hpp>
#include <stdexcept>

#include "base/error.h"

namespace tenon {

struct PythonRegex::Compiled {
  boost::regex regex;
};

PythonRegex::PythonRegex(std::string key, std::string pattern)
    : key_(std::move(key)), pattern_(std::move(pattern)) {
  try {
    compiled_ = std::make_unique<Compiled>(
        Compiled{boost::regex(to_perl_regex(pattern_), boost::regex::perl)});
  } catch (const std::exception& error) {  // boost's own, or the translation's
    throw Error(
        {.stage = Stage::kInjection,
         .message = key_ + ": `" + pattern_ + "` is not a regular expression: " + error.what(),
         .hint = "the dialect is that of Python's re, as in PEFT"});
  }
}

PythonRegex::~PythonRegex() = default;
PythonRegex::PythonRegex(PythonRegex&&) noexcept = default;
PythonRegex& PythonRegex::operator=(PythonRegex&&) noexcept = default;

bool PythonRegex::full_match(const std::string& text) const {
  try {
    return boost::regex_match(text, compiled_->regex);
  } catch (const std::runtime_error&) {
    fail_too_complex();
  }
}

std::optional<std::string> PythonRegex::group_at_start(const std::string& text,
                                                       const char* group) const {
  try {
    boost::smatch found;
    if (!boost::regex_search(text, found, compiled_->regex, boost::match_continuous)) return {};
    const auto& part = found[group];
    return part.matched ? std::optional(part.str()) : std::nullopt;
  } catch (const std::runtime_error&) {
    fail_too_complex();
  }
}

void PythonRegex::fail_too_complex() const {
  throw Error({.stage = Stage::kInjection,
               .message = key_ + ": `" + pattern_ + "` needs too many steps to match",
               .hint = "nested repetitions such as (a+)+ are the usual cause"});
}

}  // namespace tenon
