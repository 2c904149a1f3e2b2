// From an author's struct to the C table of one layer type.
//
//   struct LoraScale : tenon::Layer<LoraScale> {
//     static constexpr tenon::layer_type kType{.id = "acme.lora-scale", .method = "lora",
//                                              .base = "*.MyScale"};
//     static constexpr tenon_option kOptions[] = {tenon::option::integer(...)};  // optional
//     struct State {...};                                                       // optional, with
//     static State prepare(const tenon::Setup& setup);                          // this
//     static void validate(const tenon::Setup& setup);                          // optional
//     static void add_adapter(tenon::Setup& setup);
//     static void initialise(const tenon::Setup& setup, tenon::Start& start);   // optional
//     static tenon::Outputs forward(tenon::Call& call);                         // one of these two
//     static tenon::Tensor merged_weight(tenon::Call& call, tenon::Weight w);   // at least
//     // Optional: throws where merged_weight would be wrong (tenon/ext/mergeable.h).
//     static void check_mergeable(const tenon::Setup& setup);
//     // Optional: calls that read one tensor, run together (tenon/ext/siblings.h).
//     static std::vector<tenon::Tensor> forward_siblings(const std::vector<tenon::Call>& calls);
//     // Optional: that its change is a product of two matrices (tenon/draft/factors.h).
//     static constexpr const tenon_factor_form& kFactors = ...;
//   };
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "tenon/cpp/call.hpp"
#include "tenon/cpp/factors.hpp"
#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/groups.hpp"
#include "tenon/cpp/mergeable.hpp"
#include "tenon/cpp/names.hpp"
#include "tenon/cpp/options.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/cpp/siblings.hpp"
#include "tenon/cpp/start.hpp"
#include "tenon/cpp/tensor.hpp"
#include "tenon/layer_type.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // The facts of a layer type; see tenon_layer_type for each.
  struct layer_type {
    const char* id;
    const char* method;           // "lora"
    const char* base;             // "torch.nn.Linear;*.MyLinear"
    const char* title = nullptr;  // as the tree prints it; default: the id
    const char* doc = "";
    std::int32_t priority = 0;
    tenon_layer_flags flags = 0;  // TENON_LAYER_ROWS, ...
  };

  namespace detail {

  template <typename T>
  concept HasValidate = requires(const Setup& setup) {
    T::validate(setup);
  };
  template <typename T>
  concept HasForward = requires(Call& call) {
    T::forward(call);
  };
  template <typename T>
  concept HasMergedWeight = requires(Call& call, Weight weight) {
    T::merged_weight(call, weight);
  };

  template <typename T>
  concept HasPrepare = requires(const Setup& setup) {
    T::prepare(setup);
  };
  template <typename T>
  concept HasInitialise = requires(const Setup& setup, Start& start) {
    T::initialise(setup, start);
  };
  template <typename T>
  concept HasOptions = requires {
    T::kOptions;
  };

  // The extension of that id, if the layer has what it takes.
  template <typename... Extensions>
  const void* find_extension(std::string_view id) {
    const void* found = nullptr;
    const auto offer = [&]<typename E>(const E*) {
      if constexpr (E::kPresent) {
        if (id == E::kId) found = E::table();
      }
    };
    (offer(static_cast<const Extensions*>(nullptr)), ...);
    return found;
  }

  template <typename T>
  struct Trampolines {
    static tenon_status TENON_ABI validate(const tenon_layer_type*, const tenon_host*,
                                           const tenon_base* base, const tenon_setup* setup,
                                           tenon_error* error) {
      return fence(T::kType.id, "validate", error, [&] {
        const Setup view = looking_at(*base, setup);
        T::validate(view);
      });
    }

    static tenon_status TENON_ABI add_adapter(const tenon_layer_type*, const tenon_host*,
                                              const tenon_base* base, tenon_setup* setup,
                                              tenon_error* error) {
      return fence(T::kType.id, "add_adapter", error, [&] {
        Setup view(*base, setup);
        T::add_adapter(view);
      });
    }

    static tenon_status TENON_ABI prepare(const tenon_layer_type*, const tenon_host*,
                                          const tenon_base* base, const tenon_setup* setup,
                                          void** state, tenon_error* error) {
      return fence(T::kType.id, "prepare", error, [&] {
        const Setup view = looking_at(*base, setup);
        *state = new auto(T::prepare(view));
      });
    }

    static void TENON_ABI release(const tenon_layer_type*, const tenon_host*, const tenon_base*,
                                  void* state) {
      delete static_cast<decltype(T::prepare(std::declval<const Setup&>()))*>(state);
    }

    static tenon_status TENON_ABI initialise(const tenon_layer_type*, const tenon_host*,
                                             const tenon_base* base, const tenon_setup* setup,
                                             const tenon_start* start, tenon_error* error) {
      return fence(T::kType.id, "initialise", error, [&] {
        const Setup view = looking_at(*base, setup);
        Start started(*base, *start);
        T::initialise(view, started);
        started.give();
      });
    }

    static tenon_status TENON_ABI forward(const tenon_layer_type*, const tenon_host*,
                                          const tenon_base* base, const tenon_call* call,
                                          tenon_tensor* outputs, tenon_error* error) {
      return fence(T::kType.id, "forward", error, [&] {
        Call view(*base, *call);
        Outputs results = T::forward(view);
        if (results.size() != call->n_outputs) {
          throw Failure(TENON_INTERNAL, "returned " + std::to_string(results.size()) +
                                            " tensors, the base has " +
                                            std::to_string(call->n_outputs));
        }
        for (std::size_t i = 0; i < results.size(); ++i) outputs[i] = std::move(results[i]).give();
      });
    }

    static tenon_status TENON_ABI merged_weight(const tenon_layer_type*, const tenon_host*,
                                                const tenon_base* base, const tenon_call* call,
                                                std::uint32_t weight, tenon_tensor* out,
                                                tenon_error* error) {
      return fence(T::kType.id, "merged_weight", error, [&] {
        Call view(*base, *call);
        *out = T::merged_weight(view, view.base_info().weight_at(weight)).give();
      });
    }

    static const void* TENON_ABI extension(const tenon_layer_type*, const char* id) {
      return find_extension<Siblings<T>, Mergeable<T>, Groups<T>, LayerFactors<T>>(id);
    }
  };

  template <typename T>
  constexpr tenon_layer_type make_table() {
    static_assert(HasForward<T> || HasMergedWeight<T>, "a layer needs forward or merged_weight");
    static_assert(T::kType.method != nullptr, "kType needs the .method that the layer is of");
    static_assert(names::is_id(T::kType.id),
                  "an .id is lower case letters and digits, joined by . - or _, with one dot at "
                  "least: acme.lora-scale");
    static_assert(names::is_method(T::kType.method),
                  "a .method is lower case letters, digits and _, a letter first");
    static_assert(names::are_types(T::kType.base),
                  "a .base is names of types separated by ';': torch.nn.Linear;*.MyScale");
    tenon_layer_type table{};
    table.struct_size = sizeof(tenon_layer_type);
    table.flags = T::kType.flags;
    table.priority = T::kType.priority;
    table.id = T::kType.id;
    table.method = T::kType.method;
    table.base_types = T::kType.base;
    table.title = T::kType.title ? T::kType.title : T::kType.id;
    table.doc = T::kType.doc;
    if constexpr (HasValidate<T>) table.validate = Trampolines<T>::validate;
    table.add_adapter = Trampolines<T>::add_adapter;
    if constexpr (HasForward<T>) table.forward = Trampolines<T>::forward;
    if constexpr (HasMergedWeight<T>) table.merged_weight = Trampolines<T>::merged_weight;
    if constexpr (HasOptions<T>) {
      table.options = kOptionTable<T::kOptions>.data();
      table.n_options = kOptionTable<T::kOptions>.size();
    }
    if constexpr (HasPrepare<T>) {
      table.prepare = Trampolines<T>::prepare;
      table.release = Trampolines<T>::release;
    }
    if constexpr (HasInitialise<T>) table.initialise = Trampolines<T>::initialise;
    table.extension = Trampolines<T>::extension;
    return table;
  }

  }  // namespace detail

  template <typename T>
  struct Layer {
    using Setup = tenon::Setup;
    using Call = tenon::Call;
    using Outputs = tenon::Outputs;
    using Tensor = tenon::Tensor;
    using Weight = tenon::Weight;
    using Start = tenon::Start;
  };

}  // namespace tenon
