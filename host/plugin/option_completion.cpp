#include "plugin/option_completion.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/suggest.h"

namespace tenon {
namespace {

constexpr tenon_option_types kListTypes = TENON_OPTION_INT_LIST | TENON_OPTION_DOUBLE_LIST |
                                          TENON_OPTION_BOOL_LIST | TENON_OPTION_STRING_LIST;

template <typename T>
bool in_range(const DeclaredOption& option, T number) {
  const auto value = static_cast<long double>(number);
  const auto minimum = wide_number(option.minimum);
  const auto maximum = wide_number(option.maximum);
  return std::isfinite(value) && (!minimum || value >= *minimum) && (!maximum || value <= *maximum);
}

bool is_choice(const DeclaredOption& option, const std::string& text) {
  return option.choices.empty() ||
         std::find(option.choices.begin(), option.choices.end(), text) != option.choices.end();
}

bool is_empty_list(const OptionValue& value) {
  const auto* list = std::get_if<std::vector<std::int64_t>>(&value);
  return list != nullptr && list->empty();
}

// The type that a value has as it stands; 0 for what has none.
tenon_option_types type_of(const OptionValue& value) {
  constexpr tenon_option_types kTypes[] = {TENON_OPTION_BOOL,
                                           TENON_OPTION_INT,
                                           TENON_OPTION_DOUBLE,
                                           TENON_OPTION_STRING,
                                           TENON_OPTION_INT_LIST,
                                           TENON_OPTION_DOUBLE_LIST,
                                           TENON_OPTION_STRING_LIST,
                                           TENON_OPTION_BOOL_LIST,
                                           TENON_OPTION_TABLE | TENON_OPTION_PATTERNS,
                                           0};
  return kTypes[value.index()];
}

// An empty list, which has no type of its own, as the first of the list types.
OptionValue empty_list(tenon_option_types types) {
  if ((types & TENON_OPTION_INT_LIST) != 0) return std::vector<std::int64_t>();
  if ((types & TENON_OPTION_DOUBLE_LIST) != 0) return std::vector<double>();
  if ((types & TENON_OPTION_BOOL_LIST) != 0) return TruthList();
  return std::vector<std::string>();
}

// Of a number that may be an integer: 16.0 is 16.
OptionValue whole_if_it_is(double value) {
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  if (std::trunc(value) == value && std::abs(value) <= kExactIntegers) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

// The value as one of the declared types, if it is one.
std::optional<OptionValue> converted(const DeclaredOption& option, const OptionValue& value) {
  const tenon_option_types types =
      option.is_modules() ? TENON_OPTION_STRING | TENON_OPTION_STRING_LIST : option.types;
  if (is_empty_list(value) && (types & kListTypes) != 0) return empty_list(types);
  const auto* real = std::get_if<double>(&value);
  if (real != nullptr && (types & TENON_OPTION_INT) != 0 && (types & TENON_OPTION_DOUBLE) != 0) {
    return whole_if_it_is(*real);
  }
  if ((type_of(value) & types) != 0) return value;
  const auto* integer = std::get_if<std::int64_t>(&value);
  if (integer != nullptr && (types & TENON_OPTION_DOUBLE) != 0) {
    return static_cast<double>(*integer);
  }
  const auto* integers = std::get_if<std::vector<std::int64_t>>(&value);
  if (integers != nullptr && (types & TENON_OPTION_DOUBLE_LIST) != 0) {
    return std::vector<double>(integers->begin(), integers->end());
  }
  return std::nullopt;
}

bool is_allowed(const DeclaredOption& option, const OptionValue& value) {
  const auto all = [&](const auto& list, auto holds) {
    return std::all_of(list.begin(), list.end(),
                       [&](const auto& item) { return holds(option, item); });
  };
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return in_range(option, *integer);
  if (const auto* real = std::get_if<double>(&value)) return in_range(option, *real);
  if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
    return all(*list, in_range<std::int64_t>);
  }
  if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    return all(*list, in_range<double>);
  }
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) {
    return all(*list, is_choice);
  }
  const auto* text = std::get_if<std::string>(&value);
  return text == nullptr || is_choice(option, *text);
}

std::string misfit_text(const DeclaredOption& option, const OptionValue& value) {
  std::string text = "must be " + option.type_text();
  const bool is_absent = std::holds_alternative<std::monostate>(value);
  const std::string shown = is_absent ? "null" : option_text(value);
  if (!shown.empty()) text += ", not " + shown;
  if (const auto* word = std::get_if<std::string>(&value)) {
    const std::string suggestion = did_you_mean(*word, option.choices);
    if (!suggestion.empty()) text += "; " + suggestion;
  }
  return text;
}

OptionTable as_table(const OptionEntries& entries) {
  OptionTable table;
  for (const OptionEntry& entry : entries.items) table.insert_or_assign(entry.key, entry.value);
  return table;
}

// A nested table, its fields completed in the order that they were declared.
OptionEntries complete_table(const DeclaredOption& option, const OptionEntries& given,
                             std::vector<OptionProblem>& problems) {
  const OptionTable table = as_table(given);
  std::vector<OptionProblem> found;
  for (const auto& [key, value] : table) {
    if (is_option_key(option.fields, key)) continue;
    const std::vector<std::string> known = option_keys(option.fields);
    const std::string suggestion = did_you_mean(key, known);
    found.push_back(
        {key, "is unknown; " + (suggestion.empty() ? "known: " + join(known) : suggestion)});
  }
  OptionTable complete = complete_options(option.fields, table, found);
  OptionEntries entries;
  for (const DeclaredOption& field : option.fields) {
    entries.items.push_back({field.key, std::move(complete[field.key])});
  }
  for (OptionProblem& problem : found) {
    problems.push_back({option.key + "." + problem.key, std::move(problem.text)});
  }
  return entries;
}

// A table of patterns, each value of the type that the table's is.
OptionEntries complete_patterns(const DeclaredOption& option, const OptionEntries& given,
                                std::vector<OptionProblem>& problems) {
  OptionEntries entries;
  for (const OptionEntry& entry : given.items) {
    const DeclaredOption& wanted = option.fields.front();
    const std::optional<OptionValue> value = converted(wanted, entry.value);
    if (value && is_allowed(wanted, *value)) {
      entries.items.push_back({entry.key, *value});
    } else {
      problems.push_back({option.key + "." + entry.key, misfit_text(wanted, entry.value)});
    }
  }
  return entries;
}

// A file's null stands for the default, but not of a number, which has to be one.
bool may_be_absent(const DeclaredOption& option) {
  return option.nullable || (option.types & ~(TENON_OPTION_INT | TENON_OPTION_DOUBLE)) != 0;
}

// What the user wrote as the option holds it; nothing where it does not fit, which is told.
std::optional<OptionValue> completed(const DeclaredOption& option, const OptionValue& given,
                                     std::vector<OptionProblem>& problems) {
  if (std::holds_alternative<std::monostate>(given) && may_be_absent(option)) return std::nullopt;
  if (option.unused) return std::nullopt;
  if (option.unsupported) {
    if (!is_switched_off(given) && !same_option(given, option.initial)) {
      problems.push_back(
          {option.key, "= " + option_text(given) + " is not supported: " + option.help});
    }
    return std::nullopt;
  }
  const std::optional<OptionValue> value = converted(option, given);
  if (!value || !is_allowed(option, *value)) {
    problems.push_back({option.key, misfit_text(option, given)});
    return std::nullopt;
  }
  const auto* entries = std::get_if<OptionEntries>(&*value);
  if (entries == nullptr) return value;
  return option.types == TENON_OPTION_TABLE ? complete_table(option, *entries, problems)
                                            : complete_patterns(option, *entries, problems);
}

}  // namespace

bool is_switched_off(const OptionValue& value) {
  const auto* truth = std::get_if<bool>(&value);
  const auto* list = std::get_if<std::vector<std::int64_t>>(&value);
  const auto* text = std::get_if<std::string>(&value);
  return std::holds_alternative<std::monostate>(value) || (truth != nullptr && !*truth) ||
         (list != nullptr && list->empty()) || (text != nullptr && text->empty());
}

std::optional<OptionValue> fitted(const DeclaredOption& option, const OptionValue& value) {
  std::optional<OptionValue> as_declared = converted(option, value);
  if (as_declared && !is_allowed(option, *as_declared)) return std::nullopt;
  return as_declared;
}

OptionTable complete_options(std::span<const DeclaredOption> declared, const OptionTable& given,
                             std::vector<OptionProblem>& problems) {
  OptionTable complete;
  for (const DeclaredOption& option : declared) {
    complete[option.key] = option.initial;
    auto found = given.find(option.key);
    for (const std::string& former : option.former_keys) {
      if (found == given.end()) found = given.find(former);
    }
    if (found == given.end()) {
      if (option.required) problems.push_back({option.key, "is missing: " + option.help});
      continue;
    }
    if (auto value = completed(option, found->second, problems)) {
      complete[option.key] = *std::move(value);
    } else if (option.nullable && std::holds_alternative<std::monostate>(found->second)) {
      complete[option.key] = std::monostate();
    }
  }
  return complete;
}

}  // namespace tenon
