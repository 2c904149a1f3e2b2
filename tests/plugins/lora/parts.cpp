#include "plugins/lora/parts.h"

#include <tenon/sdk.hpp>

#include "lora/incremental_pca.hpp"
#include "lora/observed_rows.hpp"

// Of the host.
const tenon_host* table_of_the_host();

namespace lora_parts {
namespace {

void be_a_plugin() { tenon::detail::host = table_of_the_host(); }

// A handle is the address of a tensor.
tenon_tensor to_handle(const at::Tensor& tensor) {
  return tensor.defined() ? reinterpret_cast<tenon_tensor>(const_cast<at::Tensor*>(&tensor))
                          : nullptr;
}
tenon::Tensor as_lent(const at::Tensor& tensor) {
  return tenon::Tensor::borrowed(to_handle(tensor));
}
at::Tensor as_torch(const tenon::Tensor& tensor) {
  return tensor ? *reinterpret_cast<at::Tensor*>(tensor.handle()) : at::Tensor();
}

}  // namespace

Components fit(std::int64_t n_components, const std::vector<at::Tensor>& batches) {
  be_a_plugin();
  lora::IncrementalPca pca(n_components);
  for (const at::Tensor& rows : batches) pca.fit(as_lent(rows));
  return {as_torch(pca.components()), as_torch(pca.singular_values()),
          as_torch(pca.explained_variance_ratio())};
}

at::Tensor used_positions(const at::Tensor& mask, const at::Tensor& target,
                          std::optional<std::int64_t> unlabelled) {
  be_a_plugin();
  tenon_observed call{};
  call.positions = to_handle(mask);
  call.target = to_handle(target);
  return as_torch(lora::used_positions(tenon::Observed(call), unlabelled));
}

at::Tensor used_rows(const at::Tensor& input, const at::Tensor& positions) {
  be_a_plugin();
  return as_torch(lora::used_rows(as_lent(input), as_lent(positions)));
}

}  // namespace lora_parts
