// The numbers of torch.Generator().manual_seed(seed) on the CPU: what PEFT draws again from a seed
// in a config, and does not save (aten/src/ATen/core: MT19937RNGEngine.h, DistributionsHelper.h;
// native/TensorFactories.cpp).
#pragma once

#include <cstdint>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

namespace methods {

class TorchRandom {
 public:
  explicit TorchRandom(std::int64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

  // torch.randperm(size); below 2^32 / 20.
  std::vector<std::int64_t> permutation(std::int64_t size) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(size));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    for (std::size_t i = 0; i + 1 < order.size(); ++i) {
      std::swap(order[i], order[i + engine_() % (order.size() - i)]);
    }
    return order;
  }

  // torch.empty(count).uniform_(from, to), in float32.
  std::vector<float> uniform(std::int64_t count, float from, float to) {
    std::vector<float> numbers(static_cast<std::size_t>(count));
    for (float& number : numbers) {
      const float unit = static_cast<float>(engine_() & 0xFFFFFFu) * 0x1p-24F;
      number = unit * (to - from) + from;
    }
    return numbers;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace methods
