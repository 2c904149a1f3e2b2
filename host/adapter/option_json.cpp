#include "adapter/option_json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "adapter/json_problems.h"
#include "base/json.h"

namespace tenon {
namespace {

OrderedJson number_to_json(double value) {
  if (std::isfinite(value)) return value;
  if (std::isnan(value)) return {{"float", "nan"}};
  return {{"float", value > 0 ? "inf" : "-inf"}};
}

std::optional<double> number_from_json(const OrderedJson& json) {
  if (json.is_number()) return json.get<double>();
  if (json == OrderedJson{{"float", "nan"}}) return std::numeric_limits<double>::quiet_NaN();
  if (json == OrderedJson{{"float", "inf"}}) return std::numeric_limits<double>::infinity();
  if (json == OrderedJson{{"float", "-inf"}}) return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

template <typename T>
std::vector<T> items_of(const OrderedJson& list) {
  std::vector<T> items;
  for (const OrderedJson& item : list) items.push_back(item.get<T>());
  return items;
}

std::optional<OptionValue> list_from_json(const OrderedJson& json) {
  const auto all = [&](auto is) { return std::all_of(json.begin(), json.end(), is); };
  if (all(is_integer)) return items_of<std::int64_t>(json);
  if (all([](const OrderedJson& item) { return item.is_string(); })) {
    return items_of<std::string>(json);
  }
  if (all([](const OrderedJson& item) { return item.is_boolean(); })) {
    const std::vector<bool> truths = items_of<bool>(json);
    return TruthList{{truths.begin(), truths.end()}};
  }
  std::vector<double> numbers;
  for (const OrderedJson& item : json) {
    const std::optional<double> number = number_from_json(item);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  return numbers;
}

std::optional<OptionValue> table_from_json(const OrderedJson& json) {
  OptionEntries table;
  for (const auto& [key, value] : json.items()) {
    const std::optional<OptionValue> option = option_from_json(value);
    if (!option) return std::nullopt;
    table.items.push_back({key, *option});
  }
  return table;
}

}  // namespace

OrderedJson option_to_json(const OptionValue& value) {
  return std::visit(
      [](const auto& held) -> OrderedJson {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, double>) {
          return number_to_json(held);
        } else if constexpr (std::is_same_v<Held, std::vector<double>>) {
          OrderedJson list = OrderedJson::array();
          for (const double item : held) list.push_back(number_to_json(item));
          return list;
        } else if constexpr (std::is_same_v<Held, TruthList>) {
          OrderedJson list = OrderedJson::array();
          for (const std::uint8_t item : held.items) list.push_back(item != 0);
          return list;
        } else if constexpr (std::is_same_v<Held, OptionEntries>) {
          OrderedJson table = OrderedJson::object();
          for (const OptionEntry& entry : held.items)
            table[entry.key] = option_to_json(entry.value);
          return table;
        } else if constexpr (std::is_same_v<Held, std::monostate>) {
          return nullptr;
        } else {
          return held;
        }
      },
      value);
}

std::optional<OptionValue> option_from_json(const OrderedJson& json) {
  if (json.is_null()) return std::monostate();
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) return list_from_json(json);
  if (is_integer(json)) return json.get<std::int64_t>();
  if (const std::optional<double> number = number_from_json(json)) return *number;
  const bool is_table = json.is_object() && !(json.size() == 1 && json.contains("float"));
  return is_table ? table_from_json(json) : std::nullopt;
}

OrderedJson rule_to_json(const ModuleRule& rule) {
  if (const auto* regex = std::get_if<Regex>(&rule)) return regex->pattern;
  if (const auto* names = std::get_if<std::vector<std::string>>(&rule)) return *names;
  return nullptr;
}

}  // namespace tenon
