// Options as a layer or method declares them:
//   static constexpr const char* kModes[] = {"sum", "mean"};
//   static constexpr tenon_option kOptions[] = {
//       tenon::option::integer("block", 4, tenon::at_least(1), "Rows of a block."),
//       tenon::option::choice("mode", "sum", kModes, "How blocks are joined.")};
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>

#include "tenon/option.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // An end of a range, of whole numbers without loss; none by default.
  struct Bound {
    tenon_value value{TENON_VALUE_NONE, 0, {.i = 0}};
    constexpr Bound() = default;
    template <typename T>
    constexpr Bound(T number) {
      static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>, "a number");
      if constexpr (std::is_integral_v<T>) {
        value = {TENON_VALUE_INT, 0, {.i = static_cast<std::int64_t>(number)}};
      } else {
        value = {TENON_VALUE_DOUBLE, 0, {.d = static_cast<double>(number)}};
      }
    }
  };

  // What a number may be, both ends included: {.minimum = 1}.
  struct Range {
    Bound minimum = {};
    Bound maximum = {};
  };
  constexpr Range at_least(Bound minimum) { return {.minimum = minimum}; }

  namespace option {

  constexpr tenon_option declare(const char* key, tenon_option_types types, tenon_value initial,
                                 const char* help, Range range = {}) {
    tenon_option out{};
    out.struct_size = sizeof out;
    out.key = key;
    out.types = types;
    out.initial = initial;
    out.minimum = range.minimum.value;
    out.maximum = range.maximum.value;
    out.help = help;
    return out;
  }

  constexpr tenon_value string_value(const char* text) {
    std::uint32_t n = 0;
    while (text[n] != '\0') ++n;
    return {TENON_VALUE_STRING, n, {.s = text}};
  }

  constexpr tenon_option boolean(const char* key, bool initial, const char* help) {
    return declare(key, TENON_OPTION_BOOL, {TENON_VALUE_BOOL, 0, {.i = initial}}, help);
  }
  constexpr tenon_option integer(const char* key, std::int64_t initial, Range range,
                                 const char* help) {
    return declare(key, TENON_OPTION_INT, {TENON_VALUE_INT, 0, {.i = initial}}, help, range);
  }
  constexpr tenon_option number(const char* key, double initial, Range range, const char* help) {
    return declare(key, TENON_OPTION_DOUBLE, {TENON_VALUE_DOUBLE, 0, {.d = initial}}, help, range);
  }
  // Any text.
  constexpr tenon_option text(const char* key, const char* initial, const char* help) {
    return declare(key, TENON_OPTION_STRING, string_value(initial), help);
  }
  // One of an array of texts, which lasts: static constexpr const char* kModes[] = {...}.
  template <std::size_t N>
  constexpr tenon_option choice(const char* key, const char* initial,
                                const char* const (&choices)[N], const char* help) {
    tenon_option out = text(key, initial, help);
    out.choices = choices;
    out.n_choices = N;
    return out;
  }
  // Lists start empty.
  constexpr tenon_option integers(const char* key, Range range, const char* help) {
    return declare(key, TENON_OPTION_INT_LIST, {TENON_VALUE_INT_LIST, 0, {.is = nullptr}}, help,
                   range);
  }
  constexpr tenon_option numbers(const char* key, Range range, const char* help) {
    return declare(key, TENON_OPTION_DOUBLE_LIST, {TENON_VALUE_DOUBLE_LIST, 0, {.ds = nullptr}},
                   help, range);
  }
  constexpr tenon_option booleans(const char* key, const char* help) {
    return declare(key, TENON_OPTION_BOOL_LIST, {TENON_VALUE_BOOL_LIST, 0, {.bs = nullptr}}, help);
  }
  constexpr tenon_option texts(const char* key, const char* help) {
    return declare(key, TENON_OPTION_STRING_LIST, {TENON_VALUE_STRING_LIST, 0, {.ss = nullptr}},
                   help);
  }
  // A rule as target_modules is; option<bool>(key) tells whether it means the layer at hand.
  constexpr tenon_option modules(const char* key, const char* help) {
    return declare(key, TENON_OPTION_MODULES, {TENON_VALUE_NONE, 0, {.i = 0}}, help);
  }

  // The same option, which the config must give.
  constexpr tenon_option required(tenon_option out) {
    out.flags |= TENON_OPTION_REQUIRED;
    return out;
  }
  // The same option, absent by default: read it as std::optional.
  constexpr tenon_option nullable(tenon_option out) {
    out.flags |= TENON_OPTION_NULLABLE;
    out.initial = {TENON_VALUE_NONE, 0, {.i = 0}};
    return out;
  }
  // The same option, with one of the flags of tenon/option.h.
  constexpr tenon_option flagged(tenon_option out, tenon_option_flags flags) {
    out.flags |= flags;
    return out;
  }
  constexpr tenon_option heeded(tenon_option out) { return flagged(out, TENON_OPTION_HEEDED); }
  constexpr tenon_option unsupported(tenon_option out) {
    return flagged(out, TENON_OPTION_UNSUPPORTED);
  }
  constexpr tenon_option unused(tenon_option out) { return flagged(out, TENON_OPTION_UNUSED); }
  constexpr tenon_option of_start(tenon_option out) { return flagged(out, TENON_OPTION_OF_START); }
  constexpr tenon_option changeable(tenon_option out) {
    return flagged(out, TENON_OPTION_CHANGEABLE);
  }
  // Of either's types; all else is the first's. Ask setup.option_tag(key) which it is.
  constexpr tenon_option either(tenon_option first, const tenon_option& second) {
    first.types |= second.types;
    if (first.choices == nullptr) {
      first.choices = second.choices;
      first.n_choices = second.n_choices;
    }
    return first;
  }
  // The same option, which a table of the config ("rank_pattern") sets for some layers.
  constexpr tenon_option patterned(tenon_option out, const char* pattern_key) {
    out.pattern_key = pattern_key;
    return out;
  }
  // The same option under names that it had, an array that lasts.
  template <std::size_t N>
  constexpr tenon_option formerly(tenon_option out, const char* const (&keys)[N]) {
    out.former_keys = keys;
    out.n_former_keys = N;
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

  namespace option {

  // A table of module names or expressions, each with a value as the one option in `kValue` says:
  // read it as Setup::table.
  template <const auto& kValue>
  constexpr tenon_option patterns(const char* key, const char* help) {
    static_assert(std::size(kValue) == 1, "an array of one option, which says what a value is");
    tenon_option out = declare(key, TENON_OPTION_PATTERNS, {TENON_VALUE_NONE, 0, {.i = 0}}, help);
    out.fields = detail::kOptionTable<kValue>.data();
    out.n_fields = 1;
    return out;
  }
  // Tables; `kFields` is a static constexpr array of options: table<kFields>(key, help).
  template <const auto& kFields>
  constexpr tenon_option table(const char* key, const char* help) {
    tenon_option out = declare(key, TENON_OPTION_TABLE, {TENON_VALUE_NONE, 0, {.i = 0}}, help);
    out.fields = detail::kOptionTable<kFields>.data();
    out.n_fields = std::size(kFields);
    return out;
  }

  }  // namespace option
}  // namespace tenon
