#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "quantize/packed_weight.h"

namespace tenon {

// A tensor that looks like the matrix in full width (shape, floating-point dtype, device), and
// keeps it packed. Frozen: it has no data pointer, cannot be written to and never requires a
// gradient. Every operator of LibTorch takes it: products and lookups of rows read it part by part,
// transposing and casting keep it packed, and whatever else meets it gets it in full width for the
// time of the call (packed_operators.h). So autograd, which keeps what it is given, keeps it
// packed.
at::Tensor packed_tensor(std::shared_ptr<const PackedWeight> weight, at::ScalarType dtype);

// How a tensor sees a packed weight.
struct PackedView {
  std::shared_ptr<const PackedWeight> weight;
  bool transposed = false;  // the tensor is (columns, rows)
};

bool is_packed(const at::Tensor& tensor);
// Of a packed tensor; it stays valid as long as the tensor lives.
const PackedView& packed_view(const at::Tensor& tensor);
at::Tensor packed_tensor(const PackedView& view, at::ScalarType dtype);
// In full width, as a plain tensor of its own.
at::Tensor unpacked(const at::Tensor& packed);

// What a tensor takes in memory, packed or not.
std::int64_t stored_bytes(const at::Tensor& tensor);

}  // namespace tenon
