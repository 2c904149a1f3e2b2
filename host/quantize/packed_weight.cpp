#include "quantize/packed_weight.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "quantize/int8_weight.h"
#include "quantize/nf4_weight.h"

namespace tenon {

std::optional<PackedFormat> packed_format(std::string_view name) {
  for (const PackedFormat format : {PackedFormat::kInt8, PackedFormat::kNf4}) {
    if (name == name_of(format)) return format;
  }
  return std::nullopt;
}

std::string_view name_of(PackedFormat format) {
  return format == PackedFormat::kInt8 ? "int8" : "nf4";
}

std::int64_t PackedWeight::bytes() const {
  std::int64_t sum = 0;
  for (const auto& [name, tensor] : parts()) sum += static_cast<std::int64_t>(tensor.nbytes());
  return sum;
}

at::Tensor PackedWeight::unpack(const MatrixPart& part, at::ScalarType dtype) const {
  at::Tensor full = at::empty({part.rows, part.columns}, at::kFloat);
  float* const out = full.mutable_data_ptr<float>();
  // A core takes some ten thousand numbers at a time, else handing them out costs more.
  const std::int64_t grain = 32768 / std::max<std::int64_t>(part.columns, 1) + 1;
  at::parallel_for(0, part.rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      unpack_row(part.first_row + row, part.first_column, part.columns, out + row * part.columns);
    }
  });
  return full.to(dtype);
}

std::shared_ptr<const PackedWeight> pack(const at::Tensor& matrix, PackedFormat format) {
  if (format == PackedFormat::kInt8) return Int8Weight::pack(matrix);
  return Nf4Weight::pack(matrix);
}

}  // namespace tenon
