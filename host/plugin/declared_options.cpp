#include "plugin/declared_options.h"

#include <algorithm>
#include <charconv>

#include "base/suggest.h"
#include "plugin/option_values.h"
#include "plugin/sized_struct.h"

namespace tenon {
namespace {

std::string number_text(double value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

std::string text_of(bool truth) { return truth ? "true" : "false"; }
std::string text_of(std::int64_t number) { return std::to_string(number); }
std::string text_of(double number) { return number_text(number); }
std::string text_of(const std::string& text) { return '"' + text + '"'; }
std::string text_of(std::monostate) { return ""; }
template <typename T>
std::string text_of(const std::vector<T>& list) {
  std::vector<std::string> words;
  for (const auto& item : list) words.push_back(text_of(T(item)));
  return "[" + join(words) + "]";
}
std::string text_of(const TruthList& list) {
  return text_of(std::vector<bool>(list.items.begin(), list.items.end()));
}
std::string text_of(const OptionEntries& table) {
  std::vector<std::string> words;
  for (const OptionEntry& entry : table.items) {
    words.push_back(text_of(entry.key) + " = " + option_text(entry.value));
  }
  return "{" + join(words) + "}";
}

std::string range_text(const DeclaredOption& option) {
  std::vector<std::string> ends;
  const std::string minimum = option_text(option.minimum);
  const std::string maximum = option_text(option.maximum);
  if (!minimum.empty()) ends.push_back("at least " + minimum);
  if (!maximum.empty()) ends.push_back("at most " + maximum);
  return ends.empty() ? "" : " of " + join(ends, " and ");
}

}  // namespace

std::optional<long double> wide_number(const OptionValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return static_cast<long double>(*integer);
  }
  if (const auto* real = std::get_if<double>(&value)) return static_cast<long double>(*real);
  return std::nullopt;
}

namespace {

DeclaredOption read_declaration(const tenon_option& declared) {
  const tenon_option from = read_sized(declared);
  DeclaredOption option;
  option.key = from.key;
  option.types = from.types;
  option.required = (from.flags & TENON_OPTION_REQUIRED) != 0;
  option.nullable = (from.flags & TENON_OPTION_NULLABLE) != 0 || option.is_modules() ||
                    from.types == TENON_OPTION_TABLE;
  option.heeded = (from.flags & TENON_OPTION_HEEDED) != 0;
  option.unsupported = (from.flags & TENON_OPTION_UNSUPPORTED) != 0;
  option.unused = (from.flags & TENON_OPTION_UNUSED) != 0;
  option.of_start = (from.flags & TENON_OPTION_OF_START) != 0;
  option.changeable = (from.flags & TENON_OPTION_CHANGEABLE) != 0;
  option.initial =
      from.types == TENON_OPTION_PATTERNS ? OptionValue(OptionEntries()) : to_option(from.initial);
  option.minimum = to_option(from.minimum);
  option.maximum = to_option(from.maximum);
  option.choices.assign(from.choices, from.choices + from.n_choices);
  option.help = from.help == nullptr ? "" : from.help;
  option.pattern_key = from.pattern_key == nullptr ? "" : from.pattern_key;
  option.former_keys.assign(from.former_keys, from.former_keys + from.n_former_keys);
  for (std::uint32_t i = 0; i < from.n_fields; ++i) {
    option.fields.push_back(read_declaration(*from.fields[i]));
  }
  return option;
}

// The table of patterns beside an option.
DeclaredOption patterns_of(const DeclaredOption& option) {
  DeclaredOption patterns;
  patterns.key = option.pattern_key;
  patterns.types = TENON_OPTION_PATTERNS;
  patterns.initial = OptionEntries();
  patterns.help = "`" + option.key + "` of some layers, by expressions on their names.";
  patterns.fields = {option};
  return patterns;
}

}  // namespace

std::string DeclaredOption::type_text() const {
  std::vector<std::string> kinds;
  const auto add = [&](tenon_option_types bits, const std::string& text) {
    if ((types & bits) != 0) kinds.push_back(text);
  };
  add(TENON_OPTION_BOOL, "true or false");
  if ((types & TENON_OPTION_DOUBLE) != 0) {
    add(TENON_OPTION_DOUBLE, "a number" + range_text(*this));
  } else {
    add(TENON_OPTION_INT, "an integer" + range_text(*this));
  }
  if (choices.empty()) {
    add(TENON_OPTION_STRING, "a string");
  } else {
    std::vector<std::string> quoted;
    for (const std::string& choice : choices) quoted.push_back("`" + choice + "`");
    add(TENON_OPTION_STRING, "one of " + join(quoted));
  }
  add(TENON_OPTION_BOOL_LIST, "a list of true or false");
  if ((types & TENON_OPTION_DOUBLE_LIST) != 0) {
    add(TENON_OPTION_DOUBLE_LIST, "a list of numbers" + range_text(*this));
  } else {
    add(TENON_OPTION_INT_LIST, "a list of integers" + range_text(*this));
  }
  add(TENON_OPTION_STRING_LIST, "a list of strings");
  add(TENON_OPTION_TABLE, "a table");
  if (types == TENON_OPTION_PATTERNS && !fields.empty()) {
    kinds.push_back("a table of module names, each with " + fields.front().type_text());
  }
  add(TENON_OPTION_MODULES, "a regular expression or a list of module names");
  return join(kinds, kinds.size() == 2 && kinds[0].starts_with("true") ? ", or " : " or ");
}

std::vector<DeclaredOption> read_declarations(const tenon_option* const* options, std::uint32_t n) {
  std::vector<DeclaredOption> declared;
  for (std::uint32_t i = 0; i < n; ++i) {
    declared.push_back(read_declaration(*options[i]));
    if (!declared.back().pattern_key.empty()) declared.push_back(patterns_of(declared.back()));
  }
  return declared;
}

std::vector<std::string> option_keys(std::span<const DeclaredOption> declared) {
  std::vector<std::string> keys;
  for (const DeclaredOption& option : declared) {
    if (option.is_settable()) keys.push_back(option.key);
  }
  return keys;
}

bool is_option_key(std::span<const DeclaredOption> declared, const std::string& key) {
  return std::any_of(declared.begin(), declared.end(), [&](const DeclaredOption& option) {
    return option.key == key || std::find(option.former_keys.begin(), option.former_keys.end(),
                                          key) != option.former_keys.end();
  });
}

std::string option_text(const OptionValue& value) {
  return std::visit([](const auto& held) { return text_of(held); }, value);
}

bool same_option(const OptionValue& a, const OptionValue& b) {
  const auto left = wide_number(a);
  const auto right = wide_number(b);
  return left && right ? *left == *right : a == b;
}

}  // namespace tenon
