#include "quantize/int8_weight.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "quantize/unpack_kernels.h"

namespace tenon {

Int8Weight::Int8Weight(at::Tensor numbers, at::Tensor scales)
    : PackedWeight(numbers.size(0), numbers.size(1)),
      numbers_(std::move(numbers)),
      scales_(std::move(scales)) {}

std::shared_ptr<const Int8Weight> Int8Weight::pack(const at::Tensor& matrix) {
  const at::NoGradGuard no_grad;
  const std::int64_t rows = matrix.size(0);
  const std::int64_t columns = matrix.size(1);
  at::Tensor numbers = at::empty({rows, columns}, at::kChar);
  at::Tensor scales = at::empty({rows}, at::kFloat);
  constexpr std::int64_t kAtOnce = std::int64_t{1} << 20;
  const std::int64_t step = std::max<std::int64_t>(1, kAtOnce / std::max<std::int64_t>(columns, 1));
  for (std::int64_t first = 0; first < rows; first += step) {
    const std::int64_t count = std::min(step, rows - first);
    const at::Tensor part = matrix.narrow(0, first, count);
    // The scale is rounded to the matrix's own dtype first, as torchao has it.
    const at::Tensor greatest =
        columns == 0 ? at::zeros({count}, part.options()) : std::get<0>(part.abs().max(1));
    const at::Tensor scale =
        (greatest / 127.5).clamp_min(std::numeric_limits<float>::epsilon()).to(at::kFloat);
    scales.narrow(0, first, count).copy_(scale);
    numbers.narrow(0, first, count)
        .copy_((part * (1.0 / scale).unsqueeze(1)).round_().clamp_(-128, 127));
  }
  return std::make_shared<const Int8Weight>(std::move(numbers), std::move(scales));
}

std::vector<std::pair<std::string, at::Tensor>> Int8Weight::parts() const {
  return {{"", numbers_}, {"scale", scales_}};
}

void Int8Weight::unpack_row(std::int64_t row, std::int64_t first_column, std::int64_t columns,
                            float* out) const {
  const auto* from = numbers_.const_data_ptr<std::int8_t>() + row * this->columns() + first_column;
  unpack_kernels().int8(from, columns, scales_.const_data_ptr<float>()[row], out);
}

}  // namespace tenon
