#include "graph/upload.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>

namespace tenon {
namespace {

constexpr std::int64_t kPart = std::int64_t{1} << 26;  // bytes

at::Tensor in_parts(const at::Tensor& tensor, c10::Device device) {
  at::Tensor made = at::empty_like(tensor, tensor.options().device(device));
  const at::Tensor from = tensor.view({-1});
  const at::Tensor to = made.view({-1});
  const std::int64_t step = kPart / tensor.element_size();
  for (std::int64_t first = 0; first < from.numel(); first += step) {
    const std::int64_t count = std::min(step, from.numel() - first);
    to.narrow(0, first, count)
        .copy_(from.narrow(0, first, count).pin_memory(), /*non_blocking=*/true);
  }
  return made;
}

}  // namespace

at::Tensor upload(const at::Tensor& tensor, c10::Device device) {
  if (!tensor.defined() || tensor.device() == device) return tensor;
  const at::NoGradGuard no_grad;
  const bool can_be_pinned = tensor.is_cpu() && at::isAccelerator(device.type());
  if (!can_be_pinned || tensor.numel() == 0) return tensor.detach().to(device);
  const at::Tensor plain = tensor.detach();
  const bool is_large = static_cast<std::int64_t>(plain.nbytes()) > kPart && plain.is_contiguous();
  if (is_large) return in_parts(plain, device);
  return plain.pin_memory().to(device, plain.scalar_type(), /*non_blocking=*/true);
}

std::vector<at::Tensor> upload(const std::vector<at::Tensor>& tensors, c10::Device device) {
  std::vector<at::Tensor> uploaded;
  uploaded.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) uploaded.push_back(upload(tensor, device));
  return uploaded;
}

}  // namespace tenon
