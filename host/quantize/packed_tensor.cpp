#include "quantize/packed_tensor.h"

#include <ATen/ATen.h>

#include <array>

#include "quantize/packed_key.h"
#include "quantize/packed_operators.h"

namespace tenon {
namespace {

class PackedImpl final : public c10::TensorImpl {
 public:
  PackedImpl(PackedView view, at::ScalarType dtype)
      : TensorImpl(c10::DispatchKeySet({c10::DispatchKey::CPU, kPackedKey}),
                   c10::scalarTypeToTypeMeta(dtype), c10::Device(c10::kCPU)),
        view_(std::move(view)) {
    set_storage_access_should_throw();
    const std::int64_t rows = view_.weight->rows();
    const std::int64_t columns = view_.weight->columns();
    using Pair = std::array<std::int64_t, 2>;
    if (view_.transposed) {
      set_sizes_and_strides(Pair{columns, rows}, Pair{1, columns});
    } else {
      set_sizes_and_strides(Pair{rows, columns}, Pair{columns, 1});
    }
  }

  const PackedView& view() const { return view_; }

  c10::intrusive_ptr<TensorImpl> shallow_copy_and_detach(
      const c10::VariableVersion& version, bool allow_tensor_metadata_change) const override {
    return copy(version, allow_tensor_metadata_change);
  }
  c10::intrusive_ptr<TensorImpl> shallow_copy_and_detach(
      c10::VariableVersion&& version, bool allow_tensor_metadata_change) const override {
    return copy(version, allow_tensor_metadata_change);
  }

 private:
  c10::intrusive_ptr<TensorImpl> copy(const c10::VariableVersion& version, bool allow) const {
    auto copied = c10::make_intrusive<PackedImpl>(view_, c10::typeMetaToScalarType(dtype()));
    copied->set_version_counter(version);
    copied->set_allow_tensor_metadata_change(allow);
    return copied;
  }
  const char* tensorimpl_type_name() const override { return "tenon::PackedImpl"; }

  PackedView view_;
};

}  // namespace

at::Tensor packed_tensor(const PackedView& view, at::ScalarType dtype) {
  register_packed_operators();
  return at::detail::make_tensor<PackedImpl>(view, dtype);
}

at::Tensor packed_tensor(std::shared_ptr<const PackedWeight> weight, at::ScalarType dtype) {
  return packed_tensor(PackedView{std::move(weight), false}, dtype);
}

bool is_packed(const at::Tensor& tensor) {
  return tensor.defined() && tensor.key_set().has(kPackedKey);
}

const PackedView& packed_view(const at::Tensor& tensor) {
  return static_cast<const PackedImpl*>(tensor.unsafeGetTensorImpl())->view();
}

at::Tensor unpacked(const at::Tensor& packed) {
  const PackedView& view = packed_view(packed);
  const at::Tensor full = view.weight->unpack(packed.scalar_type());
  return view.transposed ? full.t() : full;
}

std::int64_t stored_bytes(const at::Tensor& tensor) {
  return is_packed(tensor) ? packed_view(tensor).weight->bytes()
                           : static_cast<std::int64_t>(tensor.nbytes());
}

}  // namespace tenon
