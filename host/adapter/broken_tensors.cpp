#include "adapter/broken_tensors.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/aminmax.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "base/suggest.h"

namespace tenon {
namespace {

// By the extremes, which hold any NaN: no copy of a large tensor is made.
bool is_finite(const at::Tensor& tensor) {
  if (!tensor.is_floating_point() || tensor.numel() == 0) return true;
  const bool is_byte = tensor.element_size() == 1;  // float8 has no extremes
  const auto [low, high] = at::aminmax(is_byte ? tensor.to(at::kFloat) : tensor);
  return std::isfinite(low.item<double>()) && std::isfinite(high.item<double>());
}

}  // namespace

std::vector<std::string> broken_tensors(const AdapterFiles& files) {
  const at::NoGradGuard no_grad;
  std::vector<std::string> keys;
  for (const AdapterTensor& tensor : files.tensors) {
    if (!is_finite(tensor.tensor)) keys.push_back(tensor.key);
  }
  return keys;
}

void warn_of_broken_tensors(const AdapterFiles& files, const std::filesystem::path& folder) {
  constexpr std::size_t kShown = 3;
  std::vector<std::string> keys = broken_tensors(files);
  if (keys.empty()) return;
  const std::size_t count = keys.size();
  keys.resize(std::min(count, kShown));
  const std::string more =
      count > kShown ? " and " + std::to_string(count - kShown) + " more" : std::string();
  log::warning("the adapter in " + folder.string() + " holds NaNs or infinities in " +
               std::to_string(count) + " of its " + std::to_string(files.tensors.size()) +
               " tensors: " + join(keys) + more +
               "; its training diverged or its file is damaged: take an earlier one");
}

}  // namespace tenon
