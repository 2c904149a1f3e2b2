#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

// Parts of the plugin by themselves, run by the host's own table. The SDK and the host both have a
// namespace tenon, so that no source of a program includes both.
namespace lora_parts {

struct Components {
  at::Tensor components;
  at::Tensor singular_values;
  at::Tensor explained_variance_ratio;
};
// IncrementalPca over these batches of rows.
Components fit(std::int64_t n_components, const std::vector<at::Tensor>& batches);

at::Tensor used_positions(const at::Tensor& mask, const at::Tensor& target,
                          std::optional<std::int64_t> unlabelled);
at::Tensor used_rows(const at::Tensor& input, const at::Tensor& positions);

}  // namespace lora_parts
