// For a plugin that uses torch::stable::Tensor, LibTorch's C++ interface on top of its C one, which
// later releases keep for two years. The stamp says the oldest LibTorch that has it: the one that
// the plugin was built against, or TORCH_TARGET_VERSION's where that is set.
//
//   #include <tenon/sdk.hpp>
//   #include <tenon/torch/stable.hpp>
//   torch::stable::Tensor y = torch::stable::matmul(tenon::to_stable(x), ...);
//   return tenon::from_stable(y);
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/version.h>

#include "tenon/cpp/plugin.hpp"
#include "tenon/cpp/tensor.hpp"

#undef TENON_TORCH_NEEDS
#define TENON_TORCH_NEEDS \
  { "", "", tenon::detail::kStableVersion.data() }

namespace tenon __attribute__((visibility("hidden"))) {
  namespace detail {

  // "2.11": TORCH_TARGET_VERSION has the major and minor version in its two highest bytes.
  struct VersionText {
    char text[16] = {};
    constexpr const char* data() const { return text; }
  };
  constexpr VersionText stable_version() {
    VersionText out;
#ifdef TORCH_TARGET_VERSION
    const unsigned parts[] = {static_cast<unsigned>((TORCH_TARGET_VERSION >> 56) & 0xff),
                              static_cast<unsigned>((TORCH_TARGET_VERSION >> 48) & 0xff)};
#else
    const unsigned parts[] = {TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR};
#endif
    int at = 0;
    for (int i = 0; i < 2; ++i) {
      if (i > 0) out.text[at++] = '.';
      if (parts[i] >= 100) out.text[at++] = static_cast<char>('0' + parts[i] / 100);
      if (parts[i] >= 10) out.text[at++] = static_cast<char>('0' + parts[i] / 10 % 10);
      out.text[at++] = static_cast<char>('0' + parts[i] % 10);
    }
    return out;
  }
  inline constexpr VersionText kStableVersion = stable_version();

  }  // namespace detail

  // A handle of its own on the same tensor.
  inline torch::stable::Tensor to_stable(const Tensor& tensor) {
    return torch::stable::Tensor(Tensor(tensor).give());
  }
  inline Tensor from_stable(const torch::stable::Tensor& tensor) {
    return Tensor(Tensor::borrowed(tensor.get()));
  }

}  // namespace tenon
