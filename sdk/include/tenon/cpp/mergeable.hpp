// Whether a layer can be merged (tenon/ext/mergeable.h):
//   static void check_mergeable(const tenon::Setup& setup);  // throws where it cannot
#pragma once

#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/ext/mergeable.h"

namespace tenon __attribute__((visibility("hidden"))) {
  namespace detail {

  template <typename T>
  concept HasMergeable = requires(const Setup& setup) {
    T::check_mergeable(setup);
  };

  template <typename T>
  struct Mergeable {
    static constexpr bool kPresent = HasMergeable<T>;
    static constexpr const char* kId = TENON_MERGEABLE;

    static tenon_status TENON_ABI check(const tenon_layer_type*, const tenon_host*,
                                        const tenon_base* base, const tenon_setup* setup,
                                        tenon_error* error) {
      return fence(T::kType.id, "mergeable", error, [&] {
        const Setup view = looking_at(*base, setup);
        T::check_mergeable(view);
      });
    }

    static const void* table() {
      static constexpr tenon_mergeable kTable{sizeof(tenon_mergeable), 0, check};
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
