#include "quantize/nf4_weight.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "quantize/dynamic_map.h"
#include "quantize/unpack_kernels.h"

namespace tenon {
namespace {

// QLoRA, appendix E: quantiles of the normal distribution, 0 among them, scaled to [-1, 1].
constexpr std::array<float, 16> kNormalFloat4{-1.0F,
                                              -0.6961928009986877F,
                                              -0.5250730514526367F,
                                              -0.39491748809814453F,
                                              -0.28444138169288635F,
                                              -0.18477343022823334F,
                                              -0.09105003625154495F,
                                              0.0F,
                                              0.07958029955625534F,
                                              0.16093020141124725F,
                                              0.24611230194568634F,
                                              0.33791524171829224F,
                                              0.44070982933044434F,
                                              0.5626170039176941F,
                                              0.7229568362236023F,
                                              1.0F};

constexpr float kLeastMagnitude = 1e-38F;

// How many of the middles between neighbours lie below: the number of the nearest quantile.
std::uint8_t nearest(float share) {
  int code = 0;
  for (std::size_t i = 0; i + 1 < kNormalFloat4.size(); ++i) {
    code += (kNormalFloat4[i] + kNormalFloat4[i + 1]) / 2.0F < share ? 1 : 0;
  }
  return static_cast<std::uint8_t>(code);
}

// One block's codes, one in a byte; its magnitude.
float encode_block(const float* from, std::int64_t count, std::uint8_t* codes) {
  float greatest = 0;
  for (std::int64_t i = 0; i < count; ++i) greatest = std::max(greatest, std::fabs(from[i]));
  const bool is_whole = count == Nf4Weight::kBlock;
  const float divisor = std::max(greatest, kLeastMagnitude);
  const float inverse = 1.0F / divisor;
  for (std::int64_t i = 0; i < count; ++i) {
    // A last block that is not whole is divided, whole ones are multiplied.
    const float share = is_whole ? from[i] * inverse : from[i] / divisor;
    codes[i] = nearest(std::clamp(share, -1.0F, 1.0F));
  }
  return is_whole ? greatest : divisor;
}

// `from`: float32, contiguous, beginning with a block; writes its codes and magnitudes.
void encode(const at::Tensor& from, std::uint8_t* codes, float* magnitudes) {
  constexpr std::int64_t kBlock = Nf4Weight::kBlock;
  const float* numbers = from.const_data_ptr<float>();
  const std::int64_t count = from.numel();
  at::parallel_for(
      0, (count + kBlock - 1) / kBlock, 512, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t block = begin; block < end; ++block) {
          std::array<std::uint8_t, kBlock> own{};
          const std::int64_t first = block * kBlock;
          const std::int64_t size = std::min(kBlock, count - first);
          magnitudes[block] = encode_block(numbers + first, size, own.data());
          if (size % 2 == 1) own[static_cast<std::size_t>(size)] = nearest(0.0F);
          for (std::int64_t i = 0; i < size; i += 2) {
            const auto at = static_cast<std::size_t>(i);
            codes[(first + i) / 2] = static_cast<std::uint8_t>((own[at] << 4) | own[at + 1]);
          }
        }
      });
}

}  // namespace

Nf4Weight::Nf4Weight(std::int64_t rows, std::int64_t columns, Parts parts)
    : PackedWeight(rows, columns), parts_(std::move(parts)), offset_(parts_.offset.item<float>()) {}

std::shared_ptr<const Nf4Weight> Nf4Weight::pack(const at::Tensor& matrix) {
  const at::NoGradGuard no_grad;
  const at::Tensor flat = matrix.reshape({-1});
  const std::int64_t count = flat.numel();
  const std::int64_t blocks = (count + kBlock - 1) / kBlock;
  Parts parts;
  parts.codes = at::empty({(count + 1) / 2}, at::kByte);
  at::Tensor magnitudes = at::empty({blocks}, at::kFloat);
  constexpr std::int64_t kAtOnce = std::int64_t{1} << 20;  // a whole number of blocks
  for (std::int64_t first = 0; first < count; first += kAtOnce) {
    const at::Tensor part = flat.narrow(0, first, std::min(kAtOnce, count - first)).to(at::kFloat);
    encode(part, parts.codes.mutable_data_ptr<std::uint8_t>() + first / 2,
           magnitudes.mutable_data_ptr<float>() + first / kBlock);
  }
  parts.offset = magnitudes.mean();
  MappedNumbers mapped = map_numbers(magnitudes - parts.offset, kNestedBlock);
  parts.magnitudes = std::move(mapped.codes);
  parts.nested = std::move(mapped.magnitudes);
  return std::make_shared<const Nf4Weight>(matrix.size(0), matrix.size(1), std::move(parts));
}

at::Tensor Nf4Weight::map() {
  return at::tensor(at::ArrayRef<float>(kNormalFloat4.data(), kNormalFloat4.size()));
}

at::Tensor Nf4Weight::nested_map() {
  return at::tensor(at::ArrayRef<float>(dynamic_map().data(), dynamic_map().size()));
}

std::vector<std::pair<std::string, at::Tensor>> Nf4Weight::parts() const {
  return {{"", parts_.codes},
          {"absmax", parts_.magnitudes},
          {"nested_absmax", parts_.nested},
          {"nested_offset", parts_.offset}};
}

float Nf4Weight::scale_of(std::int64_t block) const {
  const std::uint8_t code = parts_.magnitudes.const_data_ptr<std::uint8_t>()[block];
  const float nested = parts_.nested.const_data_ptr<float>()[block / kNestedBlock];
  return dynamic_map()[code] * nested + offset_;
}

void Nf4Weight::unpack_row(std::int64_t row, std::int64_t first_column, std::int64_t columns,
                           float* out) const {
  const auto* codes = parts_.codes.const_data_ptr<std::uint8_t>();
  const auto& unpack = unpack_kernels().four_bits;
  std::int64_t at = row * this->columns() + first_column;
  const std::int64_t end = at + columns;
  while (at < end) {
    const float scale = scale_of(at / kBlock);
    const std::int64_t block_end = std::min(end, (at / kBlock + 1) * kBlock);
    if (at % 2 == 1) {
      *out++ = kNormalFloat4[codes[at / 2] & 15] * scale;
      ++at;
    }
    const std::int64_t bytes = (block_end - at) / 2;
    unpack(codes + at / 2, bytes, kNormalFloat4.data(), scale, out);
    out += 2 * bytes;
    at += 2 * bytes;
    if (at < block_end) {
      *out++ = kNormalFloat4[codes[at / 2] >> 4] * scale;
      ++at;
    }
  }
}

}  // namespace tenon
