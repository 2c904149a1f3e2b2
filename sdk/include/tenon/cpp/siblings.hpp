// Calls that read one tensor, run together (tenon/ext/siblings.h):
//   static std::vector<tenon::Tensor> forward_siblings(const std::vector<tenon::Call>& calls);
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tenon/cpp/call.hpp"
#include "tenon/cpp/fence.hpp"
#include "tenon/ext/siblings.h"

namespace tenon __attribute__((visibility("hidden"))) {
  namespace detail {

  template <typename T>
  concept HasSiblings = requires(const std::vector<Call>& calls) {
    T::forward_siblings(calls);
  };

  template <typename T>
  struct Siblings {
    static constexpr bool kPresent = HasSiblings<T>;
    static constexpr const char* kId = TENON_SIBLINGS;

    static tenon_status TENON_ABI forward(const tenon_layer_type*, const tenon_host*,
                                          const tenon_base* const* bases,
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

    static const void* table() {
      static constexpr tenon_siblings kTable{sizeof(tenon_siblings), 0, forward};
      return &kTable;
    }
  };

  }  // namespace detail
}  // namespace tenon
