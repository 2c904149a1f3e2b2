#include "adapter/json_problems.h"

#include <algorithm>
#include <cstdint>

namespace tenon {

bool is_integer(const OrderedJson& json) {
  if (!json.is_number_integer()) return false;
  return !json.is_number_unsigned() ||
         json.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
}

void JsonProblems::wrong_type(const std::string& key, std::string_view wanted,
                              const OrderedJson& found) {
  add("`" + key + "` must be " + std::string(wanted) + ", it is " + json_excerpt(found));
}

void JsonProblems::check_keys(const OrderedJson& table, const std::string& prefix,
                              std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (!table.contains(key)) add("`" + prefix + std::string(key) + "` is missing");
  }
  for (const auto& [key, value] : table.items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      add(std::string("`").append(prefix).append(key).append("` is unknown"));
    }
  }
}

void JsonProblems::throw_if_any(Failure context) const {
  if (problems_.empty()) return;
  for (const std::string& problem : problems_) context.message += "\n  " + problem;
  throw Error(std::move(context));
}

}  // namespace tenon
