#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tenon {

// CRC-32 of a tensor's contiguous bytes, as an archive of an exported program records it.
std::uint32_t tensor_crc32(const at::Tensor& tensor);

}  // namespace tenon
