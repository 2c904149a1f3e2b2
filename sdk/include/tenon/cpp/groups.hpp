// What optimizers that treat parameters differently must know of each (tenon/draft/groups.h):
//   static void group(const tenon::Setup& setup, std::uint32_t parameter, tenon::Group& group);
#pragma once

#include <cstdint>

#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/draft/groups.h"

namespace tenon __attribute__((visibility("hidden"))) {

  using Group = tenon_group;

  namespace detail {

  template <typename T>
  concept HasGroup = requires(const Setup& setup, Group& group) {
    T::group(setup, std::uint32_t{0}, group);
  };

  template <typename T>
  struct Groups {
    static constexpr bool kPresent = HasGroup<T>;
    static constexpr const char* kId = TENON_GROUPS;

    static tenon_status TENON_ABI group(const tenon_layer_type*, const tenon_host*,
                                        const tenon_base* base, const tenon_setup* setup,
                                        std::uint32_t parameter, tenon_group* out,
                                        tenon_error* error) {
      return fence(T::kType.id, "group", error,
                   [&] { T::group(looking_at(*base, setup), parameter, *out); });
    }

    static const void* table() {
      static constexpr tenon_groups kTable{sizeof(tenon_groups), 0, group};
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
