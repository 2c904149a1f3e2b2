// Adapters that are products of two small matrices (tenon/draft/factors.h). Of a method all that
// its layers have, of a layer type its own:
//   static constexpr tenon_factor_form kFactors[] = {
//       {.down = "lora_A.weight", .up = "lora_B.weight"}};  // in a method
//   static constexpr const tenon_factor_form& kFactors = Lora::kFactors[0];  // in a layer
#pragma once

#include <cstdint>
#include <iterator>

#include "tenon/draft/factors.h"

namespace tenon __attribute__((visibility("hidden"))) {
  namespace detail {

  template <typename T>
  concept HasFactors = requires {
    T::kFactors;
  };

  template <typename T>
  struct Factors {
    static constexpr bool kPresent = HasFactors<T>;
    static constexpr const char* kId = TENON_FACTORS;

    static const void* table() {
      static constexpr tenon_factors kTable{
          sizeof(tenon_factors), static_cast<std::uint32_t>(std::size(T::kFactors)), T::kFactors};
      return &kTable;
    }
  };

  template <typename T>
  struct LayerFactors {
    static constexpr bool kPresent = HasFactors<T>;
    static constexpr const char* kId = TENON_FACTORS;

    static const void* table() {
      static constexpr tenon_layer_factors kTable{sizeof(tenon_layer_factors), 0, &T::kFactors};
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
