// Rotations of blocks of a weight's columns, which OFT and BOFT train.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <tenon/sdk.hpp>

#include "common/operators.hpp"

namespace methods {

// Of skew-symmetric matrices Q (blocks, size, size) the rotations (I - Q) (I + Q)^-1. I + Q always
// has an inverse, so that nothing is checked, which a GPU would be waited for.
inline Tensor cayley(const Tensor& skew) {
  static const tenon::Operator solve("aten::linalg_solve_ex");
  const Tensor one = identity(skew.size(-1), skew);
  return solve.results(2, one + skew, one - skew, false)[0];
}

// Some of the rotations replaced by none in a training step: a share of p, drawn.
inline Tensor with_blocks_dropped(const Tensor& rotations, double p) {
  const std::int64_t blocks = rotations.size(0);
  const auto dropped = static_cast<std::int64_t>(p * static_cast<double>(blocks));
  if (dropped == 0) return rotations;
  static const tenon::Operator randperm("aten::randperm");
  static const tenon::Operator less("aten::lt", "Scalar");
  static const tenon::Operator where("aten::where", "self");
  const Tensor like = zeros({blocks, 1, 1}, rotations);
  const Tensor order = tenon::on_device_of(rotations, reshape(randperm(blocks), {blocks, 1, 1}));
  const Tensor numbers = like + with_dtype(order, rotations.dtype());
  return where(less(numbers, dropped), identity(rotations.size(-1), rotations), rotations);
}

// The columns of a matrix (rows, blocks * size), each block multiplied by the transposed of its
// rotation; one rotation alone is for all blocks.
inline Tensor rotate_columns(const Tensor& matrix, const Tensor& rotations) {
  const std::int64_t size = rotations.size(-1);
  const std::int64_t rows = matrix.size(0);
  const Tensor blocks = transpose(reshape(matrix, {rows, -1, size}), 0, 1);
  const Tensor rotated = matmul(blocks, transpose(rotations, 1, 2));
  return reshape(transpose(rotated, 0, 1), {rows, -1});
}

}  // namespace methods
