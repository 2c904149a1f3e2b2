#pragma once

#include <span>

#include "quantize/packed_weight.h"

namespace tenon {

// QLoRA's NF4 (Dettmers et al., 2023, appendix E): the numbers in rows, one after the other, in
// blocks of 64, each number the nearest of 16 quantiles of the normal distribution times the
// block's greatest magnitude. These magnitudes, less their mean, are kept in 8 bits, in blocks of
// 256 of their own, by a map of 256 numbers (Dettmers et al., 2021: dynamic tree quantisation). Bit
// for bit what bitsandbytes' quantize_4bit(quant_type="nf4", compress_statistics=True) keeps on the
// CPU.
class Nf4Weight final : public PackedWeight {
 public:
  static constexpr std::int64_t kBlock = 64;         // numbers of one magnitude
  static constexpr std::int64_t kNestedBlock = 256;  // magnitudes of one nested magnitude

  struct Parts {
    at::Tensor codes;       // uint8 (ceil(n / 2)): the upper half of a byte first
    at::Tensor magnitudes;  // uint8 (ceil(n / kBlock)): of the map
    at::Tensor nested;      // float32 (ceil(magnitudes / kNestedBlock))
    at::Tensor offset;      // float32 (): the mean
  };
  Nf4Weight(std::int64_t rows, std::int64_t columns, Parts parts);
  static std::shared_ptr<const Nf4Weight> pack(const at::Tensor& matrix);

  // The 16 numbers that codes mean, and the 256 that codes of magnitudes mean; float32.
  static at::Tensor map();
  static at::Tensor nested_map();

  PackedFormat format() const override { return PackedFormat::kNf4; }
  std::vector<std::pair<std::string, at::Tensor>> parts() const override;
  void unpack_row(std::int64_t row, std::int64_t first_column, std::int64_t columns,
                  float* out) const override;

 private:
  float scale_of(std::int64_t block) const;

  Parts parts_;
  float offset_;
};

}  // namespace tenon
