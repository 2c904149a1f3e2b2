// Autocast changes the operators here that it changes on CUDA.
#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/library.h>

namespace at::autocast {

TORCH_LIBRARY_IMPL(_, AutocastPrivateUse1, m) { m.fallback(torch::CppFunction::makeFallthrough()); }

TORCH_LIBRARY_IMPL(aten, AutocastPrivateUse1, m) {
#define TEST_DEVICE_LOWER(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, lower_precision_fp)
#define TEST_DEVICE_FP32(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32)
#define TEST_DEVICE_SET_DTYPE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, fp32_set_opt_dtype)
#define TEST_DEVICE_PROMOTE(...) KERNEL_PRIVATEUSEONE(__VA_ARGS__, promote)
  AT_FORALL_LOWER_PRECISION_FP(TEST_DEVICE_LOWER)
  AT_FORALL_FP32(TEST_DEVICE_FP32)
  AT_FORALL_FP32_SET_OPT_DTYPE(TEST_DEVICE_SET_DTYPE)
  AT_FORALL_DIFFERENT_REDISPATCH_SIGNATURE(KERNEL_DIFFERENT_REDISPATCH_SIGNATURE_PRIVATEUSEONE)
  AT_FORALL_PROMOTE(TEST_DEVICE_PROMOTE)
}

}  // namespace at::autocast
