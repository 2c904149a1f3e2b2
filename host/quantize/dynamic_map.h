#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace tenon {

// 256 numbers from -0.993 to 1, close together around 0: a sign, an exponent of base 10 and a
// fraction whose bits become fewer the smaller the number (Dettmers et al., 2021, 8-bit optimizers;
// the map that bitsandbytes calls dynamic, signed).
const std::array<float, 256>& dynamic_map();

// The numbers in blocks: for each the number of the map nearest to number / magnitude, the greatest
// of its block. As bitsandbytes' CPU library finds it, on a grid of 65,536 steps from -1 to 1, so
// that next to the middle of two numbers either may be taken.
struct MappedNumbers {
  at::Tensor codes;       // uint8
  at::Tensor magnitudes;  // float32, one for each block
};
MappedNumbers map_numbers(const at::Tensor& numbers, std::int64_t block);

}  // namespace tenon
