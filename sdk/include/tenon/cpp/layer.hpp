// From an author's struct to the C table of one layer type; the only place where exceptions are
// turned into statuses.
//
//   struct LoraScale : tenon::Layer<LoraScale> {
//     static constexpr tenon::layer_type kType{.id = "acme.lora-scale", .base = "*.MyScale"};
//     static constexpr tenon_option kOptions[] = {tenon::option::integer(...)};  // optional
//     struct State {...};                                                       // optional, with
//     static State prepare(const tenon::Setup& setup);                          // this
//     static void validate(const tenon::Setup& setup);                          // optional
//     static void add_adapter(tenon::Setup& setup);
//     static void initialise(const tenon::Setup& setup, tenon::Start& start);   // optional
//     static tenon::Outputs forward(tenon::Call& call);                         // one of these two
//     static tenon::Tensor merged_weight(tenon::Call& call, tenon::Weight w);   // at least
//     // Optional: throws where merged_weight would be wrong (tenon/mergeable.h).
//     static void check_mergeable(const tenon::Setup& setup);
//     // Optional: calls that read one tensor, run together (tenon/siblings.h).
//     static std::vector<tenon::Tensor> forward_siblings(const std::vector<tenon::Call>& calls);
//   };
#pragma once

#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tenon/cpp/call.hpp"
#include "tenon/cpp/options.hpp"
#include "tenon/cpp/setup.hpp"
#include "tenon/cpp/start.hpp"
#include "tenon/cpp/tensor.hpp"
#include "tenon/layer.h"
#include "tenon/mergeable.h"
#include "tenon/siblings.h"

namespace tenon __attribute__((visibility("hidden"))) {

  // The facts of a layer type; see tenon_layer_type for each.
  struct layer_type {
    const char* id;
    const char* method = "lora";
    const char* base;             // "torch.nn.Linear;*.MyLinear"
    const char* title = nullptr;  // as the tree prints it; default: the id
    const char* doc = "";
    std::int32_t priority = 0;
    std::uint32_t flags = 0;  // TENON_LAYER_ROWS
  };

  namespace detail {

  inline tenon_str text_view(const std::string& text) { return {text.data(), text.size()}; }

  // Runs `body`; whatever it throws becomes a status and a text "id: function: reason".
  template <typename Body>
  tenon_status fence(const char* id, const char* function, tenon_error* error, Body body) {
    tenon_error* const outer = std::exchange(error_sink, error);
    tenon_status status = TENON_OK;
    const auto fail = [&](tenon_status code, const char* reason) {
      status = code;
      const std::string text = std::string(id) + ": " + function + ": " + reason;
      host->set_error(error, code, text_view(text));
    };
    try {
      body();
    } catch (const HostFailure& failure) {
      status = failure.status;  // the host has filled the sink already
    } catch (const Failure& failure) {
      fail(failure.status(), failure.what());
    } catch (const std::bad_alloc&) {
      fail(TENON_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception& exception) {
      fail(TENON_INTERNAL, exception.what());
    } catch (...) {
      fail(TENON_INTERNAL, "an exception of unknown type");
    }
    error_sink = outer;
    return status;
  }

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
  concept HasSiblings = requires(const std::vector<Call>& calls) {
    T::forward_siblings(calls);
  };
  template <typename T>
  concept HasMergeable = requires(const Setup& setup) {
    T::check_mergeable(setup);
  };
  template <typename T>
  concept HasOptions = requires {
    T::kOptions;
  };

  // Functions that only look at the options get a const view of the setup, which reads through a
  // non-const pointer.
  inline Setup looking_at(const tenon_base& base, const tenon_setup* setup) {
    return Setup(base, const_cast<tenon_setup*>(setup));
  }

  template <typename T>
  struct Trampolines {
    static tenon_status validate(const tenon_host*, const tenon_base* base,
                                 const tenon_setup* setup, tenon_error* error) {
      return fence(T::kType.id, "validate", error, [&] {
        const Setup view = looking_at(*base, setup);
        T::validate(view);
      });
    }

    static tenon_status add_adapter(const tenon_host*, const tenon_base* base, tenon_setup* setup,
                                    tenon_error* error) {
      return fence(T::kType.id, "add_adapter", error, [&] {
        Setup view(*base, setup);
        T::add_adapter(view);
      });
    }

    static tenon_status prepare(const tenon_host*, const tenon_base* base, const tenon_setup* setup,
                                void** state, tenon_error* error) {
      return fence(T::kType.id, "prepare", error, [&] {
        const Setup view = looking_at(*base, setup);
        *state = new auto(T::prepare(view));
      });
    }

    static void release(const tenon_host*, const tenon_base*, void* state) {
      delete static_cast<decltype(T::prepare(std::declval<const Setup&>()))*>(state);
    }

    static tenon_status initialise(const tenon_host*, const tenon_base* base,
                                   const tenon_setup* setup, const tenon_start* start,
                                   tenon_error* error) {
      return fence(T::kType.id, "initialise", error, [&] {
        const Setup view = looking_at(*base, setup);
        Start started(*base, *start);
        T::initialise(view, started);
        started.give();
      });
    }

    static tenon_status forward(const tenon_host*, const tenon_base* base, const tenon_call* call,
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

    static tenon_status merged_weight(const tenon_host*, const tenon_base* base,
                                      const tenon_call* call, std::uint32_t weight,
                                      tenon_tensor* out, tenon_error* error) {
      return fence(T::kType.id, "merged_weight", error, [&] {
        Call view(*base, *call);
        *out = T::merged_weight(view, view.base_info().weight_at(weight)).give();
      });
    }

    static tenon_status siblings(const tenon_host*, const tenon_base* const* bases,
                                 const tenon_call* const* calls, std::uint32_t n,
                                 tenon_tensor* outputs, tenon_error* error) {
      return fence(T::kType.id, "siblings", error, [&] {
        std::vector<Call> views;
        views.reserve(n);
        for (std::uint32_t i = 0; i < n; ++i) views.emplace_back(*bases[i], *calls[i]);
        std::vector<Tensor> results = T::forward_siblings(views);
        if (results.size() != n) {
          throw Failure(TENON_INTERNAL, "returned " + std::to_string(results.size()) +
                                            " tensors for " + std::to_string(n) + " layers");
        }
        for (std::uint32_t i = 0; i < n; ++i) outputs[i] = std::move(results[i]).give();
      });
    }

    static tenon_status mergeable(const tenon_host*, const tenon_base* base,
                                  const tenon_setup* setup, tenon_error* error) {
      return fence(T::kType.id, "mergeable", error, [&] {
        const Setup view = looking_at(*base, setup);
        T::check_mergeable(view);
      });
    }

    static const void* extension(const char* id) {
      if constexpr (HasSiblings<T>) {
        static constexpr tenon_siblings kSiblings{sizeof(tenon_siblings), 0, siblings};
        if (std::string_view(id) == TENON_SIBLINGS) return &kSiblings;
      }
      if constexpr (HasMergeable<T>) {
        static constexpr tenon_mergeable kMergeable{sizeof(tenon_mergeable), 0, mergeable};
        if (std::string_view(id) == TENON_MERGEABLE) return &kMergeable;
      }
      return nullptr;
    }
  };

  template <typename T>
  constexpr tenon_layer_type make_table() {
    static_assert(HasForward<T> || HasMergedWeight<T>, "a layer needs forward or merged_weight");
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
    if constexpr (HasSiblings<T> || HasMergeable<T>) table.extension = Trampolines<T>::extension;
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
