#include "plan/factor_keys.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <type_traits>

#include "base/error.h"
#include "plugin/plugin_registry.h"

namespace tenon {
namespace {

double real(const OptionValue& value) {
  return static_cast<double>(wide_number(value).value_or(0));
}

}  // namespace

OptionValue number_value(double number) {
  constexpr double kExactIntegers = 9007199254740992;  // 2^53
  if (std::trunc(number) == number && std::abs(number) <= kExactIntegers) {
    return static_cast<std::int64_t>(number);
  }
  return number;
}

FactorKeys::FactorKeys(const Method& method, const OptionTable& keys)
    : method_(method), keys_(keys) {
  if (method.factors() == nullptr) throw std::logic_error(method.name() + " has no factors");
}

const DeclaredOption& FactorKeys::declared(const std::string& key) const {
  return *std::ranges::find(method_.keys(), key, &DeclaredOption::key);
}

std::int64_t FactorKeys::rank() const { return std::get<std::int64_t>(keys_.at(names().rank)); }

double FactorKeys::alpha() const { return real(keys_.at(names().alpha)); }

template <typename T>
FactorKeys::Patterns<T> FactorKeys::patterns_of(const std::string& key) const {
  Patterns<T> patterns;
  const auto found = keys_.find(declared(key).pattern_key);
  if (found == keys_.end()) return patterns;
  const auto* entries = std::get_if<OptionEntries>(&found->second);
  if (entries == nullptr) return patterns;
  for (const OptionEntry& entry : entries->items) {
    if constexpr (std::is_same_v<T, double>) {
      patterns.emplace_back(entry.key, real(entry.value));
    } else {
      patterns.emplace_back(entry.key, std::get<T>(entry.value));
    }
  }
  return patterns;
}

template <typename T>
void FactorKeysEditor::set_patterns(const std::string& key, const Patterns<T>& patterns) {
  const std::string& table = declared(key).pattern_key;
  if (table.empty() && !patterns.empty()) {
    throw Error({.stage = Stage::kAdapter,
                 .message = "the layers would need a `" + key + "` of their own, which method " +
                            method().name() + " does not have"});
  }
  if (table.empty()) return;
  OptionEntries entries;
  for (const auto& [pattern, value] : patterns) {
    if constexpr (std::is_same_v<T, double>) {
      entries.items.push_back({pattern, number_value(value)});
    } else {
      entries.items.push_back({pattern, value});
    }
  }
  keys_[table] = std::move(entries);
}

FactorKeys::Patterns<std::int64_t> FactorKeys::rank_pattern() const {
  return patterns_of<std::int64_t>(names().rank);
}
FactorKeys::Patterns<double> FactorKeys::alpha_pattern() const {
  return patterns_of<double>(names().alpha);
}

double FactorKeys::scaling(std::int64_t rank, double alpha) const {
  const auto r = static_cast<double>(rank);
  return alpha / (by_root() ? std::sqrt(r) : r);
}

bool FactorKeys::truth(const std::string& key) const {
  return !key.empty() && std::get<bool>(keys_.at(key));
}

void FactorKeysEditor::set_truth(const std::string& key, bool on) {
  if (!key.empty()) keys_[key] = on;
}

void FactorKeysEditor::set_rank(std::int64_t rank) { keys_[names().rank] = rank; }

void FactorKeysEditor::set_alpha(double alpha) {
  const bool may_be_whole = (declared(names().alpha).types & TENON_OPTION_INT) != 0;
  keys_[names().alpha] = may_be_whole ? number_value(alpha) : OptionValue(alpha);
}

void FactorKeysEditor::set_rank_pattern(const Patterns<std::int64_t>& patterns) {
  set_patterns(names().rank, patterns);
}
void FactorKeysEditor::set_alpha_pattern(const Patterns<double>& patterns) {
  set_patterns(names().alpha, patterns);
}

void FactorKeysEditor::set_plain_start() {
  if (names().start.empty()) return;
  keys_[names().start] = declared(names().start).initial;
  for (const FactorStart& each : method().factors()->starts()) {
    if (!each.table.empty()) keys_[each.table] = declared(each.table).initial;
  }
}

std::string FactorKeys::start_text() const {
  return names().start.empty() ? "" : option_text(keys_.at(names().start));
}

const FactorStart* FactorKeys::start() const {
  if (names().start.empty()) return nullptr;
  const auto* text = std::get_if<std::string>(&keys_.at(names().start));
  if (text == nullptr) return nullptr;
  const auto& starts = method_.factors()->starts();
  const auto found = std::ranges::find_if(starts, [&](const FactorStart& each) {
    return *text == each.name || text->starts_with(each.name + "_");
  });
  return found == starts.end() ? nullptr : &*found;
}

bool FactorKeys::changes_base() const {
  const FactorStart* found = start();
  return found != nullptr && found->changes_base;
}
bool FactorKeys::starts_from_data() const {
  const FactorStart* found = start();
  return found != nullptr && found->from_data;
}
bool FactorKeys::starts_at_random() const {
  return !names().start.empty() && keys_.at(names().start) == OptionValue(false);
}

}  // namespace tenon
