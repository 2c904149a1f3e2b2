#include "device/backend/aliases.h"

#include <ATen/ATen.h>

#include <cstring>

#include "device/backend/memory.h"

namespace test_device {
namespace {

at::Tensor tensor_on(c10::Storage storage, c10::DispatchKey key, const at::Tensor& like) {
  at::Tensor made = at::detail::make_tensor<c10::TensorImpl>(
      std::move(storage), c10::DispatchKeySet(key), like.dtype());
  c10::TensorImpl* const impl = made.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  if (like.is_conj()) impl->_set_conj(true);
  if (like.is_neg()) impl->_set_neg(true);
  if (like.unsafeGetTensorImpl()->is_wrapped_number()) impl->set_wrapped_number(true);
  return made;
}

c10::Storage device_storage(const c10::Storage& cpu, c10::Device device) {
  c10::Allocator* const allocator = c10::GetAllocator(c10::kPrivateUse1);
  const c10::DeviceGuard guard(device);
  c10::DataPtr data = allocator->allocate(cpu.nbytes());
  if (cpu.nbytes() > 0) std::memcpy(on_host(data.get()), cpu.data(), cpu.nbytes());
  return {c10::Storage::use_byte_size_t(), cpu.nbytes(), std::move(data), allocator, true};
}

bool has_layout_of(const at::Tensor& one, const at::Tensor& other) {
  return one.sizes() == other.sizes() && one.strides() == other.strides() &&
         one.storage_offset() == other.storage_offset();
}

}  // namespace

at::Tensor moved(const at::Tensor& cpu, c10::Device device) {
  return tensor_on(device_storage(cpu.storage(), device), c10::DispatchKey::PrivateUse1, cpu);
}

c10::Storage Aliases::storage_of(const c10::Storage& storage) {
  for (const auto& [own, alias] : storages_) {
    if (own.is_alias_of(storage)) return alias;
  }
  c10::DataPtr data(on_host(storage.data()), c10::kCPU);
  c10::Storage alias(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(data),
                     c10::GetAllocator(c10::kCPU), true);
  storages_.emplace_back(storage, alias);
  return alias;
}

at::Tensor Aliases::of(const at::Tensor& tensor, bool may_be_on_cpu) {
  if (!tensor.defined()) return tensor;
  if (tensor.is_cpu() && (tensor.dim() == 0 || may_be_on_cpu)) return tensor;
  TORCH_CHECK(tensor.is_privateuseone(),
              "Expected all tensors to be on the same device, but found at least two devices, ",
              device_, " and ", tensor.device(), "! (", op_, ", a tensor of ", tensor.sizes(), ")");
  TORCH_CHECK(!is_known_ || tensor.device() == device_,
              "Expected all tensors to be on the same device, but found ", device_, " and ",
              tensor.device(), "! (", op_, ")");
  device_ = tensor.device();
  is_known_ = true;
  for (const Pair& pair : pairs_) {
    if (pair.own.is_same(tensor)) return pair.alias;
  }
  at::Tensor alias = tensor_on(storage_of(tensor.storage()), c10::DispatchKey::CPU, tensor);
  pairs_.push_back({tensor, alias});
  return alias;
}

void Aliases::write_back() {
  for (auto& [own, alias] : storages_) {
    if (alias.data() == on_host(own.data()) && alias.nbytes() <= own.nbytes()) continue;
    c10::Storage larger = device_storage(alias, device_);
    own.set_data_ptr_noswap(own.allocator()->allocate(0));
    own.unsafeGetStorageImpl()->set_data_ptr_noswap(
        std::move(larger.unsafeGetStorageImpl()->_mutable_data_ptr_no_checks()));
    own.set_nbytes(alias.nbytes());
  }
  for (const Pair& pair : pairs_) {
    if (has_layout_of(pair.own, pair.alias)) continue;
    pair.own.unsafeGetTensorImpl()->set_sizes_and_strides(pair.alias.sizes(), pair.alias.strides(),
                                                          pair.alias.storage_offset());
  }
}

at::Tensor Aliases::back(const at::Tensor& result) const {
  if (!result.defined()) return result;
  for (const Pair& pair : pairs_) {
    if (pair.alias.is_same(result)) return pair.own;
  }
  for (const auto& [own, alias] : storages_) {
    if (alias.is_alias_of(result.storage())) {
      return tensor_on(own, c10::DispatchKey::PrivateUse1, result);
    }
  }
  return moved(result, device_);
}

}  // namespace test_device
