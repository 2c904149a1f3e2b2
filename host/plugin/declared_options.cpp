#include "plugin/declared_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>

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

bool is_float(std::uint32_t type) { return type == TENON_DOUBLE || type == TENON_DOUBLE_LIST; }
bool is_integer(std::uint32_t type) { return type == TENON_INT || type == TENON_INT_LIST; }

std::string range_text(double minimum, double maximum) {
  std::vector<std::string> ends;
  if (!std::isinf(minimum)) ends.push_back("at least " + number_text(minimum));
  if (!std::isinf(maximum)) ends.push_back("at most " + number_text(maximum));
  return ends.empty() ? "" : " of " + join(ends, " and ");
}

std::vector<std::string> split(const char* list) {
  std::vector<std::string> words;
  std::istringstream stream(list == nullptr ? "" : list);
  for (std::string word; std::getline(stream, word, ';');) words.push_back(word);
  return words;
}

bool in_range(const DeclaredOption& option, double value) {
  return std::isfinite(value) && value >= option.minimum && value <= option.maximum;
}

template <typename T>
bool all_in_range(const DeclaredOption& option, const std::vector<T>& values) {
  return std::all_of(values.begin(), values.end(),
                     [&](T value) { return in_range(option, static_cast<double>(value)); });
}

std::vector<double> to_doubles(const std::vector<std::int64_t>& integers) {
  return {integers.begin(), integers.end()};
}

bool is_empty_list(const OptionValue& value) {
  const auto* list = std::get_if<std::vector<std::int64_t>>(&value);
  return list != nullptr && list->empty();
}

// The value as the declared type, if it is one; an empty list has no type of its own.
std::optional<OptionValue> converted(const DeclaredOption& option, const OptionValue& value) {
  const auto keep_if = [&](bool fits) { return fits ? std::optional(value) : std::nullopt; };
  switch (option.type) {
    case TENON_TRUTH:
      return keep_if(std::holds_alternative<bool>(value));
    case TENON_INT:
      return keep_if(std::holds_alternative<std::int64_t>(value));
    case TENON_DOUBLE:
      if (const auto* integer = std::get_if<std::int64_t>(&value)) {
        return static_cast<double>(*integer);
      }
      return keep_if(std::holds_alternative<double>(value));
    case TENON_STRING:
      return keep_if(std::holds_alternative<std::string>(value));
    case TENON_INT_LIST:
      return keep_if(std::holds_alternative<std::vector<std::int64_t>>(value));
    case TENON_DOUBLE_LIST:
      if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&value)) {
        return to_doubles(*integers);
      }
      return keep_if(std::holds_alternative<std::vector<double>>(value));
    case TENON_TRUTH_LIST:
      if (is_empty_list(value)) return TruthList();
      return keep_if(std::holds_alternative<TruthList>(value));
    case TENON_STRING_LIST:
      if (is_empty_list(value)) return std::vector<std::string>();
      return keep_if(std::holds_alternative<std::vector<std::string>>(value));
    case TENON_MODULES:
      if (is_empty_list(value)) return std::vector<std::string>();
      return keep_if(std::holds_alternative<std::string>(value) ||
                     std::holds_alternative<std::vector<std::string>>(value));
    default:
      return std::nullopt;
  }
}

bool is_allowed(const DeclaredOption& option, const OptionValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    return in_range(option, static_cast<double>(*integer));
  }
  if (const auto* real = std::get_if<double>(&value)) return in_range(option, *real);
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
    return all_in_range(option, *list);
  }
  if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    return all_in_range(option, *list);
  }
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr || option.choices.empty() ||
         std::find(option.choices.begin(), option.choices.end(), *text) != option.choices.end();
}

std::string misfit_text(const DeclaredOption& option, const OptionValue& value) {
  std::string text = "must be " + option.type_text() + ", not " + option_text(value);
  if (const auto* word = std::get_if<std::string>(&value)) {
    const std::string suggestion = did_you_mean(*word, option.choices);
    if (!suggestion.empty()) text += "; " + suggestion;
  }
  return text;
}

DeclaredOption read_declaration(const tenon_option& declared) {
  const tenon_option from = read_sized(declared);
  DeclaredOption option;
  option.key = from.key;
  option.type = from.type;
  option.required = (from.flags & TENON_OPTION_REQUIRED) != 0;
  option.nullable = (from.flags & TENON_OPTION_NULLABLE) != 0 || from.type == TENON_MODULES;
  option.initial = to_option(from.initial);
  option.minimum = from.minimum;
  option.maximum = from.maximum;
  option.choices = split(from.choices);
  option.help = from.help == nullptr ? "" : from.help;
  return option;
}

std::optional<std::string> check_declaration(const tenon_option* declared) {
  if (declared == nullptr || declared->struct_size < sizeof(tenon_option) ||
      declared->key == nullptr || *declared->key == '\0') {
    return "an option has no key";
  }
  const DeclaredOption option = read_declaration(*declared);
  if (option.type_text().empty()) return "option `" + option.key + "` has no known type";
  if (option.required) return std::nullopt;
  const bool absent = std::holds_alternative<std::monostate>(option.initial);
  if (absent ? option.nullable
             : converted(option, option.initial) && is_allowed(option, option.initial)) {
    return std::nullopt;
  }
  return "the default of option `" + option.key + "` is not " + option.type_text();
}

}  // namespace

std::string DeclaredOption::type_text() const {
  if (!choices.empty()) {
    std::vector<std::string> quoted;
    for (const std::string& choice : choices) quoted.push_back("`" + choice + "`");
    return "one of " + join(quoted);
  }
  const std::string range =
      is_float(type) || is_integer(type) ? range_text(minimum, maximum) : std::string();
  switch (type) {
    case TENON_TRUTH:
      return "true or false";
    case TENON_INT:
      return "an integer" + range;
    case TENON_DOUBLE:
      return "a number" + range;
    case TENON_STRING:
      return "a string";
    case TENON_INT_LIST:
      return "a list of integers" + range;
    case TENON_DOUBLE_LIST:
      return "a list of numbers" + range;
    case TENON_TRUTH_LIST:
      return "a list of true or false";
    case TENON_STRING_LIST:
      return "a list of strings";
    case TENON_MODULES:
      return "a regular expression or a list of module names";
    default:
      return "";
  }
}

std::optional<std::string> check_declarations(const tenon_option* const* options, std::uint32_t n) {
  if (n > 0 && options == nullptr) return "its options are missing";
  std::set<std::string> keys;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (auto problem = check_declaration(options[i])) return problem;
    if (!keys.insert(options[i]->key).second) {
      return std::string("option `") + options[i]->key + "` is declared twice";
    }
  }
  return std::nullopt;
}

std::vector<DeclaredOption> read_declarations(const tenon_option* const* options, std::uint32_t n) {
  std::vector<DeclaredOption> declared;
  for (std::uint32_t i = 0; i < n; ++i) declared.push_back(read_declaration(*options[i]));
  return declared;
}

OptionTable complete_options(std::span<const DeclaredOption> declared, const OptionTable& given,
                             std::vector<OptionProblem>& problems) {
  OptionTable complete;
  for (const DeclaredOption& option : declared) {
    complete[option.key] = option.initial;
    const auto found = given.find(option.key);
    if (found == given.end()) {
      if (option.required) problems.push_back({option.key, "is missing: " + option.help});
      continue;
    }
    if (option.nullable && std::holds_alternative<std::monostate>(found->second)) continue;
    const std::optional<OptionValue> value = converted(option, found->second);
    if (value && is_allowed(option, *value)) {
      complete[option.key] = *value;
    } else {
      problems.push_back({option.key, misfit_text(option, found->second)});
    }
  }
  return complete;
}

std::vector<std::string> option_keys(std::span<const DeclaredOption> declared) {
  std::vector<std::string> keys;
  for (const DeclaredOption& option : declared) keys.push_back(option.key);
  return keys;
}

std::string option_text(const OptionValue& value) {
  return std::visit([](const auto& held) { return text_of(held); }, value);
}

}  // namespace tenon
