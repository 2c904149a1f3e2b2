// A function with a gradient of its own:
//
//   struct Square : tenon::Function<Square> {
//     static constexpr const char* kName = "acme.square";
//     static constexpr std::uint32_t kOutputs = 1, kSaved = 1;
//     struct Context {};  // plain data for both
//     static Tensors forward(const Context&, const Tensors& inputs, Tensors& saved);
//     static Tensors backward(const Context&, const Tensors& saved, const Tensors& gradients,
//                             const Needed& needed);
//   };
//   Tensor y = Square::apply({}, {x})[0];
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "tenon/cpp/fence.hpp"
#include "tenon/cpp/tensor.hpp"
#include "tenon/ext/autograd.h"

namespace tenon __attribute__((visibility("hidden"))) {

  using Tensors = std::vector<Tensor>;
  using Needed = std::span<const std::uint8_t>;  // by input: whether its gradient is asked for

  namespace detail {

  inline Tensors borrowed(const tenon_tensor* handles, std::size_t n) {
    Tensors tensors;
    for (std::size_t i = 0; i < n; ++i) tensors.push_back(Tensor::borrowed(handles[i]));
    return tensors;
  }

  inline void give_all(Tensors tensors, std::size_t wanted, tenon_tensor* handles,
                       const char* what) {
    if (tensors.size() != wanted) {
      throw Failure(TENON_INTERNAL, std::string(what) + " are " + std::to_string(tensors.size()) +
                                        ", declared are " + std::to_string(wanted));
    }
    for (std::size_t i = 0; i < wanted; ++i) handles[i] = std::move(tensors[i]).give();
  }

  template <typename T>
  struct FunctionTrampolines {
    static tenon_status TENON_ABI forward_of(const tenon_function*, const tenon_host*,
                                             const void* context, const tenon_tensor* inputs,
                                             std::uint32_t n_inputs, tenon_tensor* outputs,
                                             tenon_tensor* saved, tenon_error* error) {
      return fence(T::kName, "forward", error, [&] {
        Tensors kept;
        Tensors results = T::forward(*static_cast<const typename T::Context*>(context),
                                     borrowed(inputs, n_inputs), kept);
        give_all(std::move(kept), T::kSaved, saved, "saved tensors");
        give_all(std::move(results), T::kOutputs, outputs, "outputs");
      });
    }

    static tenon_status TENON_ABI backward_of(const tenon_function*, const tenon_host*,
                                              const void* context, const tenon_tensor* saved,
                                              const tenon_tensor* gradients,
                                              const std::uint8_t* needed,
                                              tenon_tensor* input_gradients, std::uint32_t n_inputs,
                                              tenon_error* error) {
      return fence(T::kName, "backward", error, [&] {
        Tensors results = T::backward(*static_cast<const typename T::Context*>(context),
                                      borrowed(saved, T::kSaved), borrowed(gradients, T::kOutputs),
                                      Needed(needed, n_inputs));
        give_all(std::move(results), n_inputs, input_gradients, "gradients");
      });
    }
  };

  template <typename T>
  constexpr tenon_function make_function() {
    tenon_function table{};
    table.struct_size = sizeof table;
    table.n_outputs = T::kOutputs;
    table.n_saved = T::kSaved;
    table.name = T::kName;
    table.forward = FunctionTrampolines<T>::forward_of;
    table.backward = FunctionTrampolines<T>::backward_of;
    return table;
  }
  template <typename T>
  inline constexpr tenon_function kFunctionTable = make_function<T>();

  }  // namespace detail

  template <typename T>
  struct Function {
    using Tensor = tenon::Tensor;
    using Tensors = tenon::Tensors;
    using Needed = tenon::Needed;

    // `F` is T, complete only once this is used.
    template <typename F = T>
    static Tensors apply(const typename F::Context& context, const Tensors& inputs) {
      static_assert(std::is_trivially_copyable_v<typename F::Context>, "the host copies the bytes");
      static const auto* autograd =
          static_cast<const tenon_autograd*>(detail::host->extension(TENON_AUTOGRAD));
      if (autograd == nullptr)
        throw Failure(TENON_WRONG_VERSION, "the host has no " TENON_AUTOGRAD);
      std::vector<tenon_tensor> handles;
      for (const Tensor& input : inputs) handles.push_back(input.handle());
      std::vector<tenon_tensor> raw(T::kOutputs);
      detail::check(autograd->apply(&detail::kFunctionTable<F>, &context, sizeof context,
                                    handles.data(), static_cast<std::uint32_t>(handles.size()),
                                    raw.data(), detail::error_sink));
      Tensors outputs;
      for (const tenon_tensor handle : raw) outputs.push_back(Tensor::owned(handle));
      return outputs;
    }
  };

}  // namespace tenon
