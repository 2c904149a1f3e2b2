// For a plugin that uses LibTorch's own C++ interface: at::Tensor and everything else. It runs with
// exactly the LibTorch that it was built against; its stamp says which, and a host with another one
// refuses it by name instead of crashing. Where the operators by name (tenon/cpp/operator.hpp) or
// torch::stable (tenon/torch/stable.hpp) are enough, use those.
//
//   #include <tenon/sdk.hpp>
//   #include <tenon/torch/libtorch.hpp>
//   at::Tensor y = at::linear(tenon::to_at(x), ...);  return tenon::from_at(y);
#pragma once

#include <ATen/ATen.h>
#include <torch/headeronly/version.h>

#include <utility>

#include "tenon/cpp/plugin.hpp"
#include "tenon/cpp/tensor.hpp"
#include "tenon/torch/cxx_abi.h"

#undef TENON_TORCH_NEEDS
#define TENON_TORCH_NEEDS \
  { TORCH_VERSION, TENON_CXX_ABI, "" }

namespace tenon __attribute__((visibility("hidden"))) {

  // The tensor itself, as long as `tensor` lives; copy it to keep it.
  inline const at::Tensor& to_at(const Tensor& tensor) {
    return *reinterpret_cast<const at::Tensor*>(tensor.handle());
  }
  inline Tensor from_at(at::Tensor tensor) {
    return Tensor::owned(reinterpret_cast<tenon_tensor>(new at::Tensor(std::move(tensor))));
  }

}  // namespace tenon
