#include "graph/tensor_checksum.h"

#include <ATen/ATen.h>

#include "base/hash.h"

namespace tenon {

std::uint32_t tensor_crc32(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
  return crc32({static_cast<const std::byte*>(plain.const_data_ptr()), plain.nbytes()});
}

}  // namespace tenon
