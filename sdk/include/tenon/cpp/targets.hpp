// What a method adapts by default (tenon/draft/targets.h):
//   static constexpr const char* kQuery[] = {"query", "value"};
//   static constexpr tenon_target kTargets[] = {tenon::target("bert", kQuery)};
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "tenon/draft/targets.h"

namespace tenon __attribute__((visibility("hidden"))) {

  template <std::size_t N>
  constexpr tenon_target target(const char* model_type, const char* const(&names)[N]) {
    return {model_type, names, nullptr, N, 0};
  }
  constexpr tenon_target target(const char* model_type, const char* expression) {
    return {model_type, nullptr, expression, 0, 0};
  }

  namespace detail {

  template <typename T>
  concept HasTargets = requires {
    T::kTargets;
  };

  template <typename T>
  struct Targets {
    static constexpr bool kPresent = HasTargets<T>;
    static constexpr const char* kId = TENON_TARGETS;

    static const void* table() {
      static constexpr tenon_targets kTable{
          sizeof(tenon_targets), static_cast<std::uint32_t>(std::size(T::kTargets)), T::kTargets};
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
