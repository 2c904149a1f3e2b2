// Adapters that are products of two small matrices (tenon/draft/factors.h). Of a method all that
// its layers have, with the keys that say what they are:
//   static constexpr tenon_factor_form kFactors[] = {
//       tenon::factor_form("lora_A.weight", "lora_B.weight")};
//   static constexpr tenon_factor_keys kFactorKeys =
//       tenon::factor_keys({.rank = "r", .alpha = "alpha"});
//   static constexpr bool kFactorsAreGeneral = true;  // optional
//   static constexpr const char* kConversion = "...";        // optional, with
//   static constexpr const char* kConverted[] = {"VERA"};
// Of a layer type its own:
//   static constexpr const tenon_factor_form& kFactors = Lora::kFactors[0];
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "tenon/draft/factors.h"

namespace tenon __attribute__((visibility("hidden"))) {
  constexpr tenon_factor_form factor_form(const char* down, const char* up,
                                          tenon_factor_flags flags = 0) {
    return {down, up, nullptr, nullptr, flags, 0};
  }

  // The method's keys; see tenon_factor_keys for each.
  struct factor_key_names {
    const char* rank;
    const char* alpha;
    const char* root = nullptr;
    const char* bias = nullptr;
    const char* magnitude = nullptr;
    const char* dropout = nullptr;
    const char* start = nullptr;
  };
  constexpr tenon_factor_keys factor_keys(const factor_key_names& names) {
    return {sizeof(tenon_factor_keys),
            0,
            names.rank,
            names.alpha,
            names.root,
            names.bias,
            names.magnitude,
            names.dropout,
            names.start,
            nullptr};
  }
  // `starts` is an array that lasts.
  template <std::size_t N>
  constexpr tenon_factor_keys factor_keys(const factor_key_names& names,
                                          const tenon_factor_start(&starts)[N]) {
    tenon_factor_keys keys = factor_keys(names);
    keys.n_starts = N;
    keys.starts = starts;
    return keys;
  }

  namespace detail {

  template <typename T>
  concept FactorsAreGeneral = requires {
    T::kFactorsAreGeneral;
  };
  template <typename T>
  concept HasFactors = requires {
    T::kFactors;
  };
  template <typename T>
  concept HasConverted = requires {
    T::kConverted;
  };

  template <typename T>
  struct Factors {
    static constexpr bool kPresent = HasFactors<T>;
    static constexpr const char* kId = TENON_FACTORS;

    static const void* table() {
      static constexpr tenon_factors kTable = [] {
        tenon_factors table{};
        table.struct_size = sizeof table;
        table.flags = FactorsAreGeneral<T> ? TENON_FACTORS_GENERAL : 0;
        table.n_forms = static_cast<std::uint32_t>(std::size(T::kFactors));
        table.forms = T::kFactors;
        table.keys = &T::kFactorKeys;
        if constexpr (HasConverted<T>) {
          table.conversion = T::kConversion;
          table.converted = T::kConverted;
          table.n_converted = static_cast<std::uint32_t>(std::size(T::kConverted));
        }
        return table;
      }();
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
