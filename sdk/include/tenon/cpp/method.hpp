// From an author's struct to the C table of one method:
//
//   struct Scale : tenon::Method<Scale> {
//     static constexpr tenon::method_type kMethod{.name = "scale", .peft_type = "SCALE"};
//     static constexpr tenon_option kKeys[] = {tenon::option::boolean(...)};  // optional
//     static double scaling(const tenon::Setup& setup);                     // optional
//     // Optional: what it adapts where target_modules is left out (tenon/draft/targets.h).
//     static constexpr tenon_target kTargets[] = {tenon::target("bert", kNames)};
//     static void settle(tenon::Keys& keys);                // optional: rules among its keys
//     // Optional: that its adapters are products of two matrices (tenon/draft/factors.h).
//     static constexpr tenon_factor_form kFactors[] = {...};
//     // Optional: a part in training (tenon/draft/training.h).
//     static void before_step(tenon::TrainingRun& run);
//     static void after_step(tenon::TrainingRun& run);
//     static tenon::Tensor regularise(tenon::TrainingRun& run);
//     // Optional: that its adapters may start from data (tenon/draft/data_start.h).
//     static tenon_data_needs data_needs(const tenon::DataKeys& keys);
//     static std::unique_ptr<tenon::DataStart> data_start(const tenon::DataRun& run);
//   };
#pragma once

#include <cstdint>

#include "tenon/cpp/data_start.hpp"
#include "tenon/cpp/factors.hpp"
#include "tenon/cpp/files.hpp"
#include "tenon/cpp/keys.hpp"
#include "tenon/cpp/layer.hpp"
#include "tenon/cpp/names.hpp"
#include "tenon/cpp/targets.hpp"
#include "tenon/cpp/training.hpp"
#include "tenon/method.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // The facts of a method; see tenon_method for each.
  struct method_type {
    const char* name;
    const char* peft_type = nullptr;
    const char* doc = "";
    std::uint32_t max_active = 0;
    tenon_method_flags flags = 0;
  };

  template <typename T>
  struct Method {
    using Setup = tenon::Setup;
  };

  namespace detail {

  template <typename T>
  concept IsMethod = requires {
    T::kMethod;
  };
  template <typename T>
  concept HasKeys = requires {
    T::kKeys;
  };
  template <typename T>
  concept HasScaling = requires(const Setup& setup) {
    T::scaling(setup);
  };

  template <typename T>
  tenon_status TENON_ABI scaling_of(const tenon_method*, const tenon_host*, const tenon_base* base,
                                    const tenon_setup* setup, double* out, tenon_error* error) {
    return fence(T::kMethod.name, "scaling", error,
                 [&] { *out = T::scaling(looking_at(*base, setup)); });
  }

  template <typename T>
  const void* TENON_ABI extension_of(const tenon_method*, const char* id) {
    return find_extension<Training<T>, Files<T>, Targets<T>, Factors<T>, KeyRules<T>, FromData<T>>(
        id);
  }

  template <typename T>
  constexpr tenon_method make_method() {
    static_assert(names::is_method(T::kMethod.name),
                  "a .name is lower case letters, digits and _, a letter first");
    tenon_method table{};
    table.struct_size = sizeof table;
    table.name = T::kMethod.name;
    table.peft_type = T::kMethod.peft_type;
    table.doc = T::kMethod.doc;
    table.max_active = T::kMethod.max_active;
    table.flags = T::kMethod.flags;
    if constexpr (HasKeys<T>) {
      table.keys = kOptionTable<T::kKeys>.data();
      table.n_keys = kOptionTable<T::kKeys>.size();
    }
    if constexpr (HasScaling<T>) table.scaling = scaling_of<T>;
    table.extension = extension_of<T>;
    return table;
  }

  }  // namespace detail
}  // namespace tenon
