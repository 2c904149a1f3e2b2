#pragma once

#include "quantize/packed_weight.h"

namespace tenon {

// w = scale[row] * q, q from -128 to 127; bit for bit what torchao's Int8WeightOnlyConfig keeps (by
// row, symmetric: the scale is the row's greatest magnitude over 127.5).
class Int8Weight final : public PackedWeight {
 public:
  // `numbers`: int8 (rows, columns), contiguous; `scales`: float32 (rows).
  Int8Weight(at::Tensor numbers, at::Tensor scales);
  static std::shared_ptr<const Int8Weight> pack(const at::Tensor& matrix);

  PackedFormat format() const override { return PackedFormat::kInt8; }
  std::vector<std::pair<std::string, at::Tensor>> parts() const override;
  void unpack_row(std::int64_t row, std::int64_t first_column, std::int64_t columns,
                  float* out) const override;

 private:
  at::Tensor numbers_;
  at::Tensor scales_;
};

}  // namespace tenon
