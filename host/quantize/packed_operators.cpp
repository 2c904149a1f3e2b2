#include "quantize/packed_operators.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/WrapDimMinimal.h>
#include <torch/library.h>

#include <set>
#include <string>

#include "quantize/packed_key.h"
#include "quantize/packed_product.h"
#include "quantize/packed_tensor.h"

namespace tenon {
namespace {

// What an operator gets in place of an argument: packed tensors in full width, also in lists.
c10::IValue in_full_width(const c10::IValue& value) {
  if (value.isTensor()) {
    return is_packed(value.toTensor()) ? c10::IValue(unpacked(value.toTensor())) : value;
  }
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) {
      list.push_back(is_packed(tensor) ? unpacked(tensor) : tensor);
    }
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const auto& item : value.toOptionalTensorVector()) {
      list.push_back(item && is_packed(*item) ? std::optional(unpacked(*item)) : item);
    }
    return list;
  }
  return value;
}

// Any operator: on the matrix in full width, which lives as long as the call.
void run_unpacked(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const std::size_t count = schema.arguments().size();
  const std::size_t first = stack->size() - count;
  for (std::size_t i = 0; i < count; ++i) {
    c10::IValue& value = (*stack)[first + i];
    const c10::AliasInfo* alias = schema.arguments()[i].alias_info();
    TORCH_CHECK(
        alias == nullptr || !alias->isWrite() || !value.isTensor() || !is_packed(value.toTensor()),
        schema.name(), ": a quantised weight is frozen and cannot be written to");
    value = in_full_width(value);
  }
  op.callBoxed(stack);
}

at::Tensor same(const at::Tensor& self) {
  return packed_tensor(packed_view(self), self.scalar_type());
}

at::Tensor turned(const at::Tensor& self) {
  PackedView view = packed_view(self);
  view.transposed = !view.transposed;
  return packed_tensor(view, self.scalar_type());
}

at::Tensor turned_by(const at::Tensor& self, std::int64_t one, std::int64_t other) {
  const auto place = [&](std::int64_t dimension) { return c10::maybe_wrap_dim(dimension, 2); };
  return place(one) == place(other) ? same(self) : turned(self);
}

at::Tensor permuted(const at::Tensor& self, at::IntArrayRef order) {
  TORCH_CHECK(order.size() == 2, "permute: a quantised weight has two dimensions");
  const std::int64_t first = c10::maybe_wrap_dim(order[0], 2);
  TORCH_CHECK(first != c10::maybe_wrap_dim(order[1], 2), "permute: repeated dimension");
  return first == 0 ? same(self) : turned(self);
}

// A cast stays packed: what reads it unpacks to the new dtype.
at::Tensor cast(const at::Tensor& self, std::optional<at::ScalarType> dtype,
                std::optional<at::Layout> layout, std::optional<at::Device> device,
                std::optional<bool> pin, bool non_blocking,
                std::optional<at::MemoryFormat> format) {
  const at::ScalarType wanted = dtype.value_or(self.scalar_type());
  const bool stays = at::isFloatingType(wanted) && (!device || device->is_cpu()) &&
                     layout.value_or(at::kStrided) == at::kStrided;
  if (stays) return packed_tensor(packed_view(self), wanted);
  return at::_to_copy(unpacked(self), dtype, layout, device, pin, non_blocking, format);
}

// The product with the packed factor on the right; on the left by the transposed product.
at::Tensor mm(const at::Tensor& left, const at::Tensor& right) {
  if (!is_packed(right)) return packed_product(right.t(), turned(left), {}, 1, 1).t();
  return packed_product(is_packed(left) ? unpacked(left) : left, right, {}, 1, 1);
}

at::Tensor addmm(const at::Tensor& self, const at::Tensor& left, const at::Tensor& right,
                 const at::Scalar& beta, const at::Scalar& alpha) {
  const at::Tensor bias = is_packed(self) ? unpacked(self) : self;
  if (!is_packed(left) && !is_packed(right)) return at::addmm(bias, left, right, beta, alpha);
  if (!is_packed(right)) {
    return at::add(at::mul(packed_product(right.t(), turned(left), {}, 1, 1).t(), alpha), bias,
                   beta);
  }
  return packed_product(is_packed(left) ? unpacked(left) : left, right, bias, beta, alpha);
}

// Rows are unpacked one by one.
at::Tensor index_select(const at::Tensor& self, std::int64_t dimension, const at::Tensor& index) {
  const PackedView& view = packed_view(self);
  if (c10::maybe_wrap_dim(dimension, 2) != 0 || view.transposed) {
    return at::index_select(unpacked(self), dimension, index);
  }
  const at::Tensor rows = index.to(at::kLong).contiguous();
  const std::int64_t columns = view.weight->columns();
  at::Tensor full = at::empty({rows.numel(), columns}, at::kFloat);
  const auto* row = rows.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < rows.numel(); ++i) {
    TORCH_CHECK_INDEX(row[i] >= 0 && row[i] < view.weight->rows(), "index out of range in self");
    view.weight->unpack_row(row[i], 0, columns, full.mutable_data_ptr<float>() + i * columns);
  }
  return full.to(self.scalar_type());
}

// Made of others that take packed tensors well.
const std::set<std::string>& left_alone() {
  static const std::set<std::string> names{"aten::embedding"};
  return names;
}

void register_own(torch::Library& library) {
  library.impl("detach", same);
  library.impl("alias", same);
  library.impl("t", turned);
  library.impl("transpose.int", turned_by);
  library.impl("permute", permuted);
  library.impl("_to_copy", cast);
  library.impl("mm", mm);
  library.impl("addmm", addmm);
  library.impl("index_select", index_select);
}

// Operators that LibTorch builds of others for every backend would run as they are, on a tensor
// without data.
void register_composites(torch::Library& library) {
  static const std::set<std::string> own{
      "aten::detach",   "aten::alias", "aten::t",     "aten::transpose.int", "aten::permute",
      "aten::_to_copy", "aten::mm",    "aten::addmm", "aten::index_select"};
  c10::Dispatcher& dispatcher = c10::Dispatcher::singleton();
  for (const c10::OperatorName& name : dispatcher.getAllOpNames()) {
    const std::string text = c10::toString(name);
    if (!name.name.starts_with("aten::") || own.contains(text) || left_alone().contains(text)) {
      continue;
    }
    const auto op = dispatcher.findOp(name);
    if (!op ||
        !(op->hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutograd) ||
          op->hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutogradNonFunctional))) {
      continue;
    }
    library.impl(text.c_str(), torch::CppFunction::makeFromBoxedFunction<&run_unpacked>());
  }
}

struct Registrations {
  torch::Library fallback{torch::Library::IMPL, "_", kPackedKey, __FILE__, __LINE__};
  torch::Library aten{torch::Library::IMPL, "aten", kPackedKey, __FILE__, __LINE__};
  Registrations() {
    fallback.fallback(torch::CppFunction::makeFromBoxedFunction<&run_unpacked>());
    register_own(aten);
    register_composites(aten);
  }
};

}  // namespace

void register_packed_operators() {
  // Never taken back: the dispatcher may be gone before.
  static const Registrations* const kRegistrations = new Registrations;
  (void)kRegistrations;
}

}  // namespace tenon
