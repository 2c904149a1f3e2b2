#include "index/version_order.h"

#include <algorithm>
#include <string>
#include <tenon/cpp/names.hpp>

namespace tenon {
namespace {

// Cuts off and gives what stands before the first dot.
std::string_view next_part(std::string_view& rest) {
  const std::string_view part = rest.substr(0, rest.find('.'));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return part;
}

int by_number(std::string_view one, std::string_view other) {
  one.remove_prefix(std::min(one.find_first_not_of('0'), one.size()));
  other.remove_prefix(std::min(other.find_first_not_of('0'), other.size()));
  if (one.size() != other.size()) return one.size() < other.size() ? -1 : 1;
  return one.compare(other);
}

bool is_numeric(std::string_view part) {
  return !part.empty() && std::ranges::all_of(part, names::is_digit);
}

// Of two pre-releases, part by part: numbers by value and before words, the shorter first.
int by_parts(std::string_view one, std::string_view other) {
  while (!one.empty() && !other.empty()) {
    const std::string_view left = next_part(one);
    const std::string_view right = next_part(other);
    if (is_numeric(left) != is_numeric(right)) {
      return is_numeric(left) ? -1 : 1;
    }
    const int order = is_numeric(left) ? by_number(left, right) : left.compare(right);
    if (order != 0) return order;
  }
  return one.empty() == other.empty() ? 0 : one.empty() ? -1 : 1;
}

}  // namespace

int compare_semantic_versions(std::string_view one, std::string_view other) {
  one = one.substr(0, one.find('+'));
  other = other.substr(0, other.find('+'));
  std::string_view left = one.substr(0, one.find('-'));
  std::string_view right = other.substr(0, other.find('-'));
  one.remove_prefix(left.size());
  other.remove_prefix(right.size());
  if (const int order = compare_abi(left, right); order != 0) return order;
  if (one.empty() || other.empty()) {
    return one.empty() == other.empty() ? 0 : one.empty() ? 1 : -1;  // a release is behind them
  }
  return by_parts(one.substr(1), other.substr(1));
}

int compare_abi(std::string_view one, std::string_view other) {
  while (!one.empty() || !other.empty()) {
    const int order = by_number(next_part(one), next_part(other));
    if (order != 0) return order;
  }
  return 0;
}

}  // namespace tenon
