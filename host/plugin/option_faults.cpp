#include "plugin/option_faults.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <tenon/cpp/names.hpp>
#include <variant>
#include <vector>

#include "plugin/option_completion.h"
#include "plugin/sized_struct.h"

namespace tenon {
namespace {

constexpr tenon_option_types kValueTypes = 255;  // all that need not stand alone
constexpr tenon_option_types kAlone =
    TENON_OPTION_TABLE | TENON_OPTION_PATTERNS | TENON_OPTION_MODULES;
constexpr tenon_option_flags kKnownFlags =
    TENON_OPTION_REQUIRED | TENON_OPTION_NULLABLE | TENON_OPTION_HEEDED | TENON_OPTION_UNSUPPORTED |
    TENON_OPTION_UNUSED | TENON_OPTION_OF_START | TENON_OPTION_CHANGEABLE;

bool is_bound(const tenon_value& value) {
  return value.tag == TENON_VALUE_NONE || value.tag == TENON_VALUE_INT ||
         (value.tag == TENON_VALUE_DOUBLE && !std::isnan(value.u.d));
}

bool has_null(const char* const* texts, std::uint32_t n) {
  return n > 0 && (texts == nullptr ||
                   std::any_of(texts, texts + n, [](const char* text) { return !text; }));
}

// What is wrong with the shape of a declaration; nothing may be read of it that has not been
// looked at here.
std::string find_fault(const tenon_option& from) {
  if (!names::is_key(from.key)) {
    return "is no key: letters, digits and _, a letter first";
  }
  const tenon_option_types known = kValueTypes | kAlone;
  const bool is_alone = (from.types & kAlone) != 0;
  if (from.types == 0 || (from.types & ~known) != 0 ||
      (is_alone && (from.types & (from.types - 1)) != 0)) {
    return "has no known type";
  }
  if ((from.flags & ~kKnownFlags) != 0) return "has flags that this Tenon does not know";
  if (has_null(from.choices, from.n_choices)) return "has choices that are NULL";
  if (has_null(from.former_keys, from.n_former_keys)) return "has former keys that are NULL";
  if (!is_bound(from.minimum) || !is_bound(from.maximum)) return "has an end that is no number";
  if (from.help != nullptr && !names::is_line(from.help)) {
    return "has a help that is not one line of text";
  }
  if (from.pattern_key != nullptr && (!names::is_key(from.pattern_key) || is_alone)) {
    return "has a pattern_key that cannot be";
  }
  if (from.n_fields > 0 && from.fields == nullptr) return "has fields that are NULL";
  const bool has_fields = from.types == TENON_OPTION_TABLE      ? from.n_fields > 0
                          : from.types == TENON_OPTION_PATTERNS ? from.n_fields == 1
                                                                : from.n_fields == 0;
  return has_fields ? "" : "has fields that do not go with its type";
}

std::optional<std::string> check_declaration(const tenon_option* declared) {
  if (declared == nullptr || declared->struct_size < sizeof(tenon_option) ||
      declared->key == nullptr || *declared->key == '\0') {
    return "an option has no key";
  }
  const tenon_option from = read_sized(*declared);
  const std::string fault = find_fault(from);
  if (!fault.empty()) {
    const bool is_shown = names::is_line(from.key) && std::string_view(from.key).size() < 100;
    return "option `" + (is_shown ? std::string(from.key) : "?") + "` " + fault;
  }
  if (auto problem = check_declarations(from.fields, from.n_fields)) {
    return "option `" + std::string(from.key) + "`: " + *problem;
  }
  const DeclaredOption option = read_declarations(&declared, 1).front();
  if (option.required || option.types == TENON_OPTION_PATTERNS) return std::nullopt;
  const bool absent = std::holds_alternative<std::monostate>(option.initial);
  if (absent ? option.nullable : fitted(option, option.initial).has_value()) {
    return std::nullopt;
  }
  return "the default of option `" + option.key + "` is not " + option.type_text();
}

}  // namespace

std::optional<std::string> check_declarations(const tenon_option* const* options, std::uint32_t n) {
  if (n > 0 && options == nullptr) return "its options are missing";
  std::set<std::string> keys;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (auto problem = check_declaration(options[i])) return problem;
  }
  for (const DeclaredOption& option : read_declarations(options, n)) {
    std::vector<std::string> all = option.former_keys;
    all.push_back(option.key);
    for (const std::string& key : all) {
      if (!names::is_key(key)) return "option `" + option.key + "` was never called so";
      if (!keys.insert(key).second) return "option `" + key + "` is declared twice";
    }
  }
  return std::nullopt;
}

}  // namespace tenon
