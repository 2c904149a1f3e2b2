// What LoHa and LoKr share, as LyCORIS has it (PEFT: tuners/lycoris_utils.py): factors of a
// convolution that keep its kernel in a core, and dropout of rows and of whole updates.
#pragma once

#include <vector>

#include <tenon/sdk.hpp>

#include "common/matrix.hpp"
#include "common/operators.hpp"

namespace methods {

// Whether the method's use_effective_conv2d has an effect: not on a kernel of one element.
inline bool keeps_kernel(const tenon::Setup& setup, const Shape& weight) {
  const bool has_kernel = weight.size() > 2 && columns(weight) != weight[1];
  return has_kernel && setup.option<bool>("use_effective_conv2d");
}

// (r, r, height, width), of a Conv1d (r, r, length, 1).
inline Shape core_shape(std::int64_t r, const Shape& weight) {
  return {r, r, weight[2], weight.size() > 3 ? weight[3] : 1};
}

// sum_ij core[i, j, k, l] a[i, p] b[j, q]: (p, q, k, l).
inline Tensor with_core(const Tensor& core, const Tensor& a, const Tensor& b) {
  static const tenon::Operator einsum("aten::einsum");
  return einsum("ijkl,ip,jq->pqkl", tenon::handles_of(core, a, b));
}

struct UpdateDropout {
  double rank = 0;
  double module = 0;
  bool rescales = false;  // the rows that are left, so that their sum stays what it was
};

inline UpdateDropout update_dropout(const tenon::Setup& setup, bool rescales) {
  return {setup.option<double>("rank_dropout"), setup.option<double>("module_dropout"), rescales};
}

// The update, or in some training steps none. Its gradient is then zero: without any, a step that
// leaves out all layers would have nothing to train.
inline Tensor with_update_dropped(const Tensor& update, const UpdateDropout& dropout,
                                  bool training) {
  if (!training || dropout.module == 0) return update;
  return update * (draws_kept(dropout.module) ? 1.0 : 0.0);
}

inline Tensor with_rows_dropped(const Tensor& update, const UpdateDropout& dropout, bool training) {
  if (!training || dropout.rank == 0) return update;
  static const tenon::Operator rand_like("aten::rand_like");
  static const tenon::Operator greater("aten::gt", "Scalar");
  static const tenon::Operator mean("aten::mean");
  const std::int64_t rows = update.size(0);
  Shape shape(update.shape().size(), 1);
  shape[0] = rows;
  Tensor kept = with_dtype(greater(rand_like(zeros(shape, update)), dropout.rank), update.dtype());
  // At least one of the rows, or PyTorch would divide nothing by nothing.
  if (dropout.rescales) kept = kept / clamp_min(mean(kept), 1.0 / static_cast<double>(rows));
  return update * kept;
}

// What a training step sees of an update.
inline Tensor after_dropout(const Tensor& update, const UpdateDropout& dropout, bool training) {
  return with_update_dropped(with_rows_dropped(update, dropout, training), dropout, training);
}

}  // namespace methods
