#include "quantize/unpack_kernels.h"

#include "quantize/unpack_x86.h"

namespace tenon {
namespace {

void int8_portable(const std::int8_t* from, std::int64_t count, float scale, float* out) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(from[i]) * scale;
}

void four_bits_portable(const std::uint8_t* from, std::int64_t bytes, const float* table,
                        float scale, float* out) {
  for (std::int64_t i = 0; i < bytes; ++i) {
    out[2 * i] = table[from[i] >> 4] * scale;
    out[2 * i + 1] = table[from[i] & 15] * scale;
  }
}

}  // namespace

const UnpackKernels& portable_kernels() {
  static constexpr UnpackKernels kPortable{int8_portable, four_bits_portable};
  return kPortable;
}

const UnpackKernels& unpack_kernels() {
  static const UnpackKernels kernels = [] {
    const UnpackKernels* vector = x86_kernels();
    return vector == nullptr ? portable_kernels() : *vector;
  }();
  return kernels;
}

}  // namespace tenon
