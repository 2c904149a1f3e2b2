#include "quantize/dynamic_map.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace tenon {
namespace {

constexpr std::int64_t kSteps = 65536;

std::array<float, 256> make_map() {
  constexpr int kExponents = 7;
  std::vector<double> numbers{0, 1};
  for (int i = 0; i < kExponents; ++i) {
    // Rounded to float32 where torch.linspace and the product with a Python number are.
    const at::Tensor bounds = at::linspace(0.1, 1, (std::int64_t{1} << i) + 1, at::kFloat);
    const std::int64_t count = bounds.size(0) - 1;
    const at::Tensor means = (bounds.narrow(0, 0, count) + bounds.narrow(0, 1, count)) / 2.0;
    const at::Tensor scaled = means * std::pow(10.0, i - (kExponents - 1));
    for (std::int64_t item = 0; item < count; ++item) {
      const double number = scaled[item].item<double>();
      numbers.push_back(number);
      numbers.push_back(-number);
    }
  }
  std::ranges::sort(numbers);
  std::array<float, 256> map{};
  std::ranges::transform(numbers, map.begin(), [](double n) { return static_cast<float>(n); });
  return map;
}

// The code of each step of the grid.
std::vector<std::uint8_t> make_grid() {
  const std::array<float, 256>& map = dynamic_map();
  std::vector<std::uint8_t> grid(kSteps);
  std::size_t code = 0;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const float number = static_cast<float>(step) * 2.0F / static_cast<float>(kSteps - 1) - 1.0F;
    while (code < 255 && number > (map[code] + map[code + 1]) * 0.5F) ++code;
    grid[static_cast<std::size_t>(step)] = static_cast<std::uint8_t>(code);
  }
  return grid;
}

}  // namespace

const std::array<float, 256>& dynamic_map() {
  static const std::array<float, 256> map = make_map();
  return map;
}

MappedNumbers map_numbers(const at::Tensor& numbers, std::int64_t block) {
  static const std::vector<std::uint8_t> grid = make_grid();
  const std::int64_t count = numbers.numel();
  const std::int64_t blocks = (count + block - 1) / block;
  MappedNumbers mapped{at::empty({count}, at::kByte), at::empty({blocks}, at::kFloat)};
  const float* from = numbers.const_data_ptr<float>();
  auto* codes = mapped.codes.mutable_data_ptr<std::uint8_t>();
  auto* magnitudes = mapped.magnitudes.mutable_data_ptr<float>();
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t end = std::min((b + 1) * block, count);
    float greatest = 0;
    for (std::int64_t i = b * block; i < end; ++i)
      greatest = std::max(greatest, std::fabs(from[i]));
    magnitudes[b] = greatest;
    const float inverse = 1.0F / greatest;
    for (std::int64_t i = b * block; i < end; ++i) {
      if (greatest == 0) {
        codes[i] = 0;
        continue;
      }
      const float share = std::clamp(from[i] * inverse, -1.0F, 1.0F);
      const float place = std::fma((share + 1.0F) * 0.5F, static_cast<float>(kSteps - 1), 0.5F);
      codes[i] = grid[static_cast<std::size_t>(place)];
    }
  }
  return mapped;
}

}  // namespace tenon
