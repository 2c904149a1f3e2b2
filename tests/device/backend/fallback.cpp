#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "device/backend/aliases.h"
#include "device/backend/generators.h"
#include "device/backend/waits.h"

namespace test_device {
namespace {

// What native_functions.yaml has a CPU kernel of and neither one of CUDA nor one for all.
constexpr std::array<std::string_view, 22> kOnlyOnCpu = {
    "aten::_add_relu",
    "aten::_add_relu_",
    "aten::_convert_weight_to_int4pack_for_cpu",
    "aten::_dyn_quant_matmul_4bit",
    "aten::_dyn_quant_pack_4bit_weight",
    "aten::_histogramdd_bin_edges",
    "aten::_histogramdd_from_bin_cts",
    "aten::_histogramdd_from_bin_tensors",
    "aten::_scaled_dot_product_flash_attention_for_cpu",
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward",
    "aten::_spdiags",
    "aten::_upsample_lanczos2d_aa",
    "aten::_upsample_lanczos2d_aa_backward",
    "aten::_weight_int4pack_mm_for_cpu",
    "aten::from_file",
    "aten::histogram",
    "aten::mkldnn_rnn_layer",
    "aten::mkldnn_rnn_layer_backward",
    "aten::narrow_copy",
    "aten::slow_conv3d_forward",
    "aten::to_mkldnn",
    "aten::mkldnn_convolution"};

// Their results' sizes, or their Boolean, depend on the numbers, which a GPU's host waits for.
constexpr std::array<std::string_view, 13> kWaits = {
    "aten::nonzero",    "aten::masked_select",     "aten::equal",
    "aten::_unique2",   "aten::unique_dim",        "aten::unique_consecutive",
    "aten::bincount",   "aten::repeat_interleave", "aten::unique_dim_consecutive",
    "aten::is_nonzero", "aten::_assert_async",     "aten::_unique",
    "aten::allclose"};

// Arguments that CUDA's kernels want on the CPU as well.
bool may_be_on_cpu(std::string_view op, std::string_view argument) {
  return op == "aten::_pack_padded_sequence" && argument == "lengths";
}

bool is_among(std::string_view name, auto& names) {
  return std::ranges::find(names, name) != names.end();
}

// A mask among the indices is counted first, and then waited for.
bool has_mask(const c10::IValue& value) {
  if (!value.isList()) return false;
  return std::ranges::any_of(value.toListRef(), [](const c10::IValue& item) {
    return item.isTensor() && item.toTensor().defined() &&
           (item.toTensor().scalar_type() == at::kBool ||
            item.toTensor().scalar_type() == at::kByte);
  });
}

c10::IValue argument_on_cpu(const c10::IValue& value, const c10::Argument& argument,
                            std::string_view op, Aliases& aliases) {
  const bool on_cpu = may_be_on_cpu(op, argument.name());
  if (value.isTensor()) return aliases.of(value.toTensor(), on_cpu);
  if (value.isTensorList()) {
    std::vector<at::Tensor> tensors;
    for (const at::Tensor& tensor : value.toTensorVector()) tensors.push_back(aliases.of(tensor));
    return tensors;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> tensors;
    for (const c10::IValue& item : value.toListRef()) {
      tensors.push_back(item.isNone() ? std::nullopt : std::optional(aliases.of(item.toTensor())));
    }
    return tensors;
  }
  if (value.isGenerator()) return generator_on_host(value.toGenerator(), op);
  if (value.isDevice()) return c10::Device(c10::kCPU);
  return value;
}

c10::IValue result_on_device(const c10::IValue& value, const Aliases& aliases) {
  if (value.isTensor()) return aliases.back(value.toTensor());
  if (value.isTensorList()) {
    std::vector<at::Tensor> tensors;
    for (const at::Tensor& tensor : value.toTensorVector()) tensors.push_back(aliases.back(tensor));
    return tensors;
  }
  return value;
}

// The device that a factory is asked to make its tensor on, which stands in no tensor argument.
void refuse_other_device(const c10::OperatorHandle& op, const torch::jit::Stack& arguments) {
  for (const c10::IValue& value : arguments) {
    TORCH_CHECK(!value.isDevice() || value.toDevice().is_privateuseone(), op.schema().name(),
                " on ", value.toDevice(), " reached the test's device");
  }
}

void run_on_cpu(const c10::OperatorHandle& op, c10::DispatchKeySet, torch::jit::Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const std::string& name = schema.name();
  TORCH_CHECK(!is_among(name, kOnlyOnCpu), name, " has no kernel for CUDA");
  const std::size_t count = schema.arguments().size();
  torch::jit::Stack arguments = torch::jit::last(*stack, count).vec();
  refuse_other_device(op, arguments);
  Aliases aliases(name);
  bool waits = is_among(name, kWaits);
  for (std::size_t i = 0; i < count; ++i) {
    waits = waits || (name.starts_with("aten::index") && has_mask(arguments[i]));
    arguments[i] = argument_on_cpu(arguments[i], schema.arguments()[i], name, aliases);
  }
  if (waits) note("wait", name);
  {
    const at::AutoDispatchBelowADInplaceOrView no_gradients;
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    op.callBoxed(&arguments);
  }
  aliases.write_back();
  torch::jit::drop(*stack, count);
  for (const c10::IValue& result : arguments) {
    stack->push_back(result_on_device(result, aliases));
  }
}

}  // namespace

TORCH_LIBRARY_IMPL(_, PrivateUse1, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_cpu>());
}

}  // namespace test_device
