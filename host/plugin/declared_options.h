#pragma once

#include <tenon/option.h>

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/adapter_config.h"

namespace tenon {

// An option that a plugin declares: a copy of tenon_option.
struct DeclaredOption {
  std::string key;
  std::uint32_t type = TENON_INT;
  bool required = false;
  bool nullable = false;
  OptionValue initial;
  double minimum;
  double maximum;
  std::vector<std::string> choices;  // of strings; empty: any
  std::string help;

  std::string type_text() const;  // "an integer of at least 1", "`sum` or `mean`"
};

// What is wrong with the value of one key.
struct OptionProblem {
  std::string key;
  std::string text;  // "must be an integer of at least 1, not 0"
};

// Why a plugin's declarations cannot be used, or nothing: a plugin bug.
std::optional<std::string> check_declarations(const tenon_option* const* options, std::uint32_t n);

std::vector<DeclaredOption> read_declarations(const tenon_option* const* options, std::uint32_t n);

// The declared options with what `given` says, else their defaults; keys of `given` that are not
// declared are left out. An integer where a float is wanted becomes one. Whatever does not fit is
// added to `problems` and takes the default.
OptionTable complete_options(std::span<const DeclaredOption> declared, const OptionTable& given,
                             std::vector<OptionProblem>& problems);

std::vector<std::string> option_keys(std::span<const DeclaredOption> declared);

// A value as it would be written in a config; "" for none.
std::string option_text(const OptionValue& value);

}  // namespace tenon
