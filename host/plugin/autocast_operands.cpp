#include "plugin/autocast_operands.h"

#include <ATen/autocast_mode.h>

namespace tenon {

at::Tensor as_autocast_wants(const at::Tensor& tensor, const at::Tensor& input) {
  const c10::DeviceType device = input.device().type();
  if (!tensor.defined() || !at::autocast::is_autocast_enabled(device)) return tensor;
  return at::autocast::cached_cast(at::autocast::get_autocast_dtype(device), tensor, device);
}

}  // namespace tenon
