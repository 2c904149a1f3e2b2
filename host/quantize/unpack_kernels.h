#pragma once

#include <cstdint>

namespace tenon {

// The inner loops of reading packed weights. All give the same bits: each number is one product of
// two float32 numbers.
struct UnpackKernels {
  // out[i] = from[i] * scale.
  void (*int8)(const std::int8_t* from, std::int64_t count, float scale, float* out);
  // 2 * bytes numbers, the upper half of a byte first: out[i] = table[code] * scale, table
  // having 16.
  void (*four_bits)(const std::uint8_t* from, std::int64_t bytes, const float* table, float scale,
                    float* out);
};

// Those of plain C++, which run everywhere and are what the others are judged by.
const UnpackKernels& portable_kernels();
// Those that this processor runs fastest: AVX-512, AVX2 or the portable ones.
const UnpackKernels& unpack_kernels();

}  // namespace tenon
