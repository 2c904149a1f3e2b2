#pragma once

#include <tenon/option.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/adapter_config.h"

namespace tenon {

// An option that a plugin declares: a copy of tenon_option.
struct DeclaredOption {
  std::string key;
  tenon_option_types types = 0;
  bool required = false;
  bool nullable = false;
  bool heeded = false;       // layer types that do not read it are refused where it is set
  bool unsupported = false;  // PEFT's alone: what is on is refused
  bool unused = false;       // PEFT's alone: read from files, without effect
  bool of_start = false;     // of a saved adapter it is not read
  bool changeable = false;   // where a saved adapter is trained on
  OptionValue initial;
  OptionValue minimum;  // of numbers: an integer, a float, or monostate for none
  OptionValue maximum;
  std::vector<std::string> choices;  // of strings; empty: any
  std::string help;
  std::string pattern_key;  // "": it is the same in all layers
  std::vector<std::string> former_keys;
  std::vector<DeclaredOption> fields;  // of a table; of patterns the one that says their values

  // Whether a config may set it to something.
  bool is_settable() const { return !unsupported && !unused; }
  bool is_modules() const { return types == TENON_OPTION_MODULES; }
  std::string type_text() const;  // "an integer of at least 1", "true, false or a string"
};

// Each behind its own, the tables of patterns that some of them have beside them ("rank_pattern").
std::vector<DeclaredOption> read_declarations(const tenon_option* const* options, std::uint32_t n);

// Those that a config may set.
std::vector<std::string> option_keys(std::span<const DeclaredOption> declared);
// Whether it is a key of theirs, or was one.
bool is_option_key(std::span<const DeclaredOption> declared, const std::string& key);

// A value as it would be written in a config; "" for none.
std::string option_text(const OptionValue& value);

// A number, wide enough for every integer and every float; nothing for other values.
std::optional<long double> wide_number(const OptionValue& value);

// Whether two values mean the same: 0 and 0.0 do.
bool same_option(const OptionValue& a, const OptionValue& b);

}  // namespace tenon
