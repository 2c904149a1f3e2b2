// Options as a layer or method declares them:
//   static constexpr tenon_option kOptions[] = {
//       tenon::option::integer("block", 4, {.minimum = 1}, "Rows of a block."),
//       tenon::option::text("mode", "sum", "sum;mean", "How blocks are joined.")};
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "tenon/option.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // What a number may be, both ends included.
  struct Range {
    double minimum = -std::numeric_limits<double>::infinity();
    double maximum = std::numeric_limits<double>::infinity();
  };

  namespace option {

  constexpr tenon_option declare(const char* key, std::uint32_t type, tenon_value initial,
                                 const char* help, Range range = {}) {
    tenon_option out{};
    out.struct_size = sizeof out;
    out.key = key;
    out.type = type;
    out.initial = initial;
    out.minimum = range.minimum;
    out.maximum = range.maximum;
    out.help = help;
    return out;
  }

  constexpr tenon_option truth(const char* key, bool initial, const char* help) {
    return declare(key, TENON_TRUTH, {TENON_TRUTH, 0, {.i = initial}}, help);
  }
  constexpr tenon_option integer(const char* key, std::int64_t initial, Range range,
                                 const char* help) {
    return declare(key, TENON_INT, {TENON_INT, 0, {.i = initial}}, help, range);
  }
  constexpr tenon_option number(const char* key, double initial, Range range, const char* help) {
    return declare(key, TENON_DOUBLE, {TENON_DOUBLE, 0, {.d = initial}}, help, range);
  }
  // `choices`: "sum;mean;max", or nullptr for any text.
  constexpr tenon_option text(const char* key, std::string_view initial, const char* choices,
                              const char* help) {
    tenon_option out = declare(
        key, TENON_STRING,
        {TENON_STRING, static_cast<std::uint32_t>(initial.size()), {.s = initial.data()}}, help);
    out.choices = choices;
    return out;
  }
  // Lists start empty.
  constexpr tenon_option integers(const char* key, Range range, const char* help) {
    return declare(key, TENON_INT_LIST, {TENON_INT_LIST, 0, {.is = nullptr}}, help, range);
  }
  constexpr tenon_option numbers(const char* key, Range range, const char* help) {
    return declare(key, TENON_DOUBLE_LIST, {TENON_DOUBLE_LIST, 0, {.ds = nullptr}}, help, range);
  }
  constexpr tenon_option truths(const char* key, const char* help) {
    return declare(key, TENON_TRUTH_LIST, {TENON_TRUTH_LIST, 0, {.bs = nullptr}}, help);
  }
  constexpr tenon_option texts(const char* key, const char* help) {
    return declare(key, TENON_STRING_LIST, {TENON_STRING_LIST, 0, {.ss = nullptr}}, help);
  }
  // A rule as target_modules is; option<bool>(key) tells whether it means the layer at hand.
  constexpr tenon_option modules(const char* key, const char* help) {
    return declare(key, TENON_MODULES, {TENON_NONE, 0, {.i = 0}}, help);
  }
  // The same option, which the config must give.
  constexpr tenon_option required(tenon_option out) {
    out.flags |= TENON_OPTION_REQUIRED;
    return out;
  }
  // The same option, absent by default: read it as std::optional.
  constexpr tenon_option nullable(tenon_option out) {
    out.flags |= TENON_OPTION_NULLABLE;
    out.initial = {TENON_NONE, 0, {.i = 0}};
    return out;
  }

  }  // namespace option

  namespace detail {

  // Pointers to the items of a constant array: what the C tables hold.
  template <const auto& kItems>
  inline constexpr auto kOptionTable = [] {
    std::array<const tenon_option*, std::size(kItems)> pointers{};
    for (std::size_t i = 0; i < pointers.size(); ++i) pointers[i] = &kItems[i];
    return pointers;
  }();

  }  // namespace detail
}  // namespace tenon
