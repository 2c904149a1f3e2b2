// Weights as matrices: (out, in) of fully connected layers, (out, in * kernel) of convolutions.
#pragma once

#include <functional>
#include <numeric>

#include <tenon/sdk.hpp>

#include "common/operators.hpp"

namespace methods {

// All but the first dimension of a weight as one.
inline std::int64_t columns(const Shape& weight) {
  return std::accumulate(weight.begin() + 1, weight.end(), std::int64_t{1}, std::multiplies<>());
}

inline Tensor as_matrix(const Tensor& weight) { return reshape(weight, {weight.size(0), -1}); }

// What multiplies all that a kernel sees has no meaning where each output sees a part of it.
inline void refuse_groups(const tenon::Base& base) {
  if (base.find_attribute<std::int64_t>("groups").value_or(1) == 1) return;
  throw tenon::Failure(TENON_UNSUPPORTED,
                       "its outputs see different inputs (groups), which one rotation cannot turn");
}

// transformers' Conv1D stores (in, out).
inline bool is_stored_transposed(const tenon::Base& base) {
  return base.type() == "transformers.pytorch_utils.Conv1D";
}

}  // namespace methods
