// New tensors, copies, and numbers that the host reads.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <torch/library.h>

#include "device/backend/aliases.h"
#include "device/backend/memory.h"
#include "device/backend/waits.h"

namespace test_device {
namespace {

constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

c10::Device device_or_first(std::optional<c10::Device> device) {
  const c10::Device given = device.value_or(c10::Device(c10::kPrivateUse1));
  return {c10::kPrivateUse1, given.has_index() ? given.index() : c10::DeviceIndex{0}};
}

at::Tensor empty_memory_format(at::IntArrayRef size, std::optional<at::ScalarType> dtype,
                               std::optional<at::Layout>, std::optional<c10::Device> device,
                               std::optional<bool>, std::optional<at::MemoryFormat> format) {
  const at::ScalarType type = dtype.value_or(at::get_default_dtype_as_scalartype());
  const c10::DeviceGuard guard(device_or_first(device));
  return at::detail::empty_generic(size, c10::GetAllocator(c10::kPrivateUse1), kKeys, type, format);
}

at::Tensor empty_strided(at::IntArrayRef size, at::IntArrayRef stride,
                         std::optional<at::ScalarType> dtype, std::optional<at::Layout>,
                         std::optional<c10::Device> device, std::optional<bool>) {
  const at::ScalarType type = dtype.value_or(at::get_default_dtype_as_scalartype());
  const c10::DeviceGuard guard(device_or_first(device));
  return at::detail::empty_strided_generic(size, stride, c10::GetAllocator(c10::kPrivateUse1),
                                           kKeys, type);
}

// Both ways and within the device; the CPU's tensors are read and written where they are.
at::Tensor copy_from(const at::Tensor& self, const at::Tensor& target, bool non_blocking) {
  if (target.is_cpu()) {
    note("wait", "copy to the CPU");
  } else if (self.is_cpu()) {
    const bool is_free = self.dim() == 0 || (non_blocking && self.is_pinned());
    note(is_free ? "upload" : "slow upload", std::to_string(self.nbytes()));
  }
  Aliases from("aten::copy_");
  Aliases to("aten::copy_");
  at::Tensor written = to.of(target, true);
  written.copy_(from.of(self, true));
  return target;
}

at::Tensor copy_from_and_resize(const at::Tensor& self, const at::Tensor& target) {
  target.resize_(self.sizes());
  return copy_from(self, target, false);
}

at::Scalar local_scalar_dense(const at::Tensor& self) {
  note("wait", "a number is read");
  Aliases aliases("aten::_local_scalar_dense");
  return at::_local_scalar_dense(aliases.of(self));
}

at::Tensor& set_storage(at::Tensor& self, at::Storage source, std::int64_t offset,
                        at::IntArrayRef size, at::IntArrayRef stride) {
  c10::TensorImpl* const impl = self.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(std::move(source));
  if (stride.data() == nullptr || stride.size() != size.size()) {
    impl->set_storage_offset(offset);
    impl->set_sizes_contiguous(size);
  } else {
    impl->set_sizes_and_strides(size, stride, offset);
  }
  return self;
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, PrivateUse1, library) {
  library.impl("empty.memory_format", empty_memory_format);
  library.impl("empty_strided", empty_strided);
  library.impl("_copy_from", copy_from);
  library.impl("_copy_from_and_resize", copy_from_and_resize);
  library.impl("_local_scalar_dense", local_scalar_dense);
  library.impl("set_.source_Storage_storage_offset", set_storage);
}

}  // namespace test_device
