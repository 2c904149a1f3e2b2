#include "config/config_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/suggest.h"

namespace tenon {
namespace {

std::string kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

std::string number_text(double value) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

std::string choices_text(const std::vector<std::string>& choices) {
  const std::vector<std::string> all_but_last(choices.begin(), choices.end() - 1);
  return all_but_last.empty() ? choices.back() : join(all_but_last) + " or " + choices.back();
}

template <typename T>
std::vector<T> items_of(const toml::array& array) {
  std::vector<T> items;
  for (const toml::node& item : array) items.push_back(*item.value_exact<T>());
  return items;
}

// Integers stay integers only if all of them are.
std::optional<OptionValue> plain_list(const toml::array& array) {
  if (array.empty()) return std::vector<std::int64_t>{};
  if (array.is_homogeneous<std::string>()) return items_of<std::string>(array);
  if (array.is_homogeneous<bool>()) {
    const std::vector<bool> truths = items_of<bool>(array);
    return TruthList{{truths.begin(), truths.end()}};
  }
  if (array.is_homogeneous<std::int64_t>()) return items_of<std::int64_t>(array);
  std::vector<double> numbers;
  for (const toml::node& item : array) {
    if (!item.is_number()) return std::nullopt;
    numbers.push_back(*item.value<double>());
  }
  return numbers;
}

}  // namespace

bool Bounds::hold(double value) const {
  return std::isfinite(value) && (low_included ? value >= low : value > low) &&
         (high_included ? value <= high : value < high);
}

std::string Bounds::text() const {
  if (std::isinf(low)) return "a finite number";
  const std::string from = (low_included ? "at least " : "greater than ") + number_text(low);
  if (std::isinf(high)) return from;
  return from + (high_included ? " and at most " : " and less than ") + number_text(high);
}

Bounds at_least(double low) { return {.low = low}; }
Bounds above(double low) { return {.low = low, .low_included = false}; }
Bounds half_open(double low, double high) { return {.low = low, .high = high}; }
Bounds between(double low, double high) {
  return {.low = low, .high = high, .low_included = false};
}
Bounds closed(double low, double high) { return {.low = low, .high = high, .high_included = true}; }

ConfigValue::ConfigValue(const ReadContext& context, const toml::node& node, std::string key,
                         std::string name)
    : context_(&context), node_(&node), key_(std::move(key)), name_(std::move(name)) {}

Place ConfigValue::place() const { return context_->document.place(node_->source()); }

std::optional<bool> ConfigValue::as_boolean() const {
  if (!node_->is_boolean()) fail_type("true or false");
  return node_->value_exact<bool>();
}

std::optional<std::int64_t> ConfigValue::as_integer(const Bounds& bounds) const {
  const auto value = node_->value_exact<std::int64_t>();
  if (!value) {
    fail_type("an integer");
  } else if (!bounds.hold(static_cast<double>(*value))) {
    fail("must be " + bounds.text() + ", not " + std::to_string(*value));
    return std::nullopt;
  }
  return value;
}

std::optional<double> ConfigValue::as_number(const Bounds& bounds) const {
  if (!node_->is_number()) {
    fail_type("a number");
    return std::nullopt;
  }
  const double value = *node_->value<double>();
  if (bounds.hold(value)) return value;
  fail("must be " + bounds.text() + ", not " + number_text(value));
  return std::nullopt;
}

std::optional<std::string> ConfigValue::as_string() const {
  const auto value = node_->value_exact<std::string>();
  if (!value) {
    fail_type("a string");
  } else if (value->empty()) {
    fail("must not be empty");
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> ConfigValue::as_choice(const std::vector<std::string>& choices) const {
  const std::optional<std::string> value = as_string();
  if (!value || std::find(choices.begin(), choices.end(), *value) != choices.end()) return value;
  const std::string suggestion = did_you_mean(*value, choices);
  fail("must be " + choices_text(choices) + ", not `" + *value + "`" +
       (suggestion.empty() ? "" : "; " + suggestion));
  return std::nullopt;
}

std::optional<std::filesystem::path> ConfigValue::as_path() const {
  const std::optional<std::string> text = as_string();
  if (!text) return std::nullopt;
  return context_->document.resolve(*node_, *text);
}

std::optional<std::vector<std::string>> ConfigValue::as_strings() const {
  if (!is_list()) {
    fail_type("a list of strings");
    return std::nullopt;
  }
  std::vector<std::string> strings;
  for (const ConfigValue& item : items()) {
    if (const auto text = item.as_string()) strings.push_back(*text);
  }
  return strings;
}

std::optional<std::vector<std::filesystem::path>> ConfigValue::as_paths() const {
  if (!is_list()) {
    fail_type("a list of paths");
    return std::nullopt;
  }
  std::vector<std::filesystem::path> paths;
  for (const ConfigValue& item : items()) {
    if (const auto path = item.as_path()) paths.push_back(*path);
  }
  return paths;
}

std::optional<OptionValue> ConfigValue::as_option() const {
  if (const auto value = node_->value_exact<bool>()) return *value;
  if (const auto value = node_->value_exact<std::int64_t>()) return *value;
  if (const auto value = node_->value_exact<double>()) return *value;
  if (const auto value = node_->value_exact<std::string>()) return *value;
  if (const toml::array* array = node_->as_array()) {
    if (auto list = plain_list(*array)) return list;
    fail("must be a list of numbers, of strings or of truth values");
    return std::nullopt;
  }
  fail_type("a boolean, a number, a string or a list of one of them");
  return std::nullopt;
}

std::optional<OptionValue> ConfigValue::as_key(std::map<std::string, Place>* places) const {
  if (places != nullptr) places->emplace(key_, place());
  if (table() == nullptr) return as_option();
  OptionEntries entries_of_table;
  for (const ConfigValue& entry : entries("a plain value")) {
    if (places != nullptr) places->emplace(key_ + "." + entry.key(), entry.place());
    if (auto value = entry.as_option()) {
      entries_of_table.items.push_back({entry.key(), *std::move(value)});
    }
  }
  return entries_of_table;
}

std::vector<ConfigValue> ConfigValue::items() const {
  std::vector<ConfigValue> values;
  for (const toml::node& item : *node_->as_array()) {
    const std::string index = '[' + std::to_string(values.size()) + "]";
    values.emplace_back(*context_, item, key_ + index, name_ + index);
  }
  return values;
}

std::vector<ConfigValue> ConfigValue::entries(const std::string& expected) const {
  if (table() == nullptr) {
    fail_type("a table");
    return {};
  }
  std::vector<std::pair<Place, ConfigValue>> placed;
  for (const auto& [key, node] : *table()) {
    const std::string entry(key.str());
    ConfigValue value(*context_, node, entry, name_ + "." + entry);
    if (node.is_table()) {
      value.fail("must be " + expected + ", not a table; a name with dots is written in quotes");
    } else {
      placed.emplace_back(context_->document.place(key.source()), std::move(value));
    }
  }
  std::stable_sort(placed.begin(), placed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<ConfigValue> values;
  values.reserve(placed.size());
  for (auto& [place, value] : placed) values.push_back(std::move(value));
  return values;
}

void ConfigValue::fail_type(const std::string& expected) const {
  fail("must be " + expected + ", not " + kind_of(*node_));
}

void ConfigValue::fail(const std::string& text) const {
  context_->problems.add(place(), '`' + name_ + "` " + text);
}

}  // namespace tenon
