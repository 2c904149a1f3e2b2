#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>

#include "adapted/adapted_layer.h"
#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

// Half precision is merged in float32 and rounded once.
at::Tensor widened(const at::Tensor& tensor) {
  const bool is_half = tensor.defined() &&
                       (tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16);
  return is_half ? tensor.to(at::kFloat) : tensor.detach();
}

// An adapter's table with parameters that are wide enough to merge in.
struct WideAdapter {
  std::vector<at::Tensor> parameters;
  std::vector<tenon_tensor> handles;
  tenon_adapter table;

  explicit WideAdapter(const tenon_adapter& adapter) : table(adapter) {
    for (std::uint32_t i = 0; i < adapter.n_params; ++i) {
      parameters.push_back(widened(from_handle(adapter.params[i])));
    }
    handles = handles_of(parameters);
    table.params = handles.data();
  }
};

// A type that cannot merge at all is not for merging; one that can has met a base that it cannot.
[[noreturn]] void fail_to_merge(const LayerType& layer_type, const std::string& path,
                                const std::string& why) {
  throw Error({.stage = layer_type.can_merge() ? Stage::kPlugins : Stage::kInjection,
               .message = "`" + path + "` cannot be merged: " + why,
               .hint = "leave the adapter unmerged"});
}

// The plugin's new weights in float32 at least, undefined where it leaves one alone.
std::vector<at::Tensor> fold_in(const LayerChoice& choice, const std::string& path) {
  if (!choice.layer_type->can_merge()) {
    fail_to_merge(*choice.layer_type, path, choice.layer_type->id() + " has no merged weight");
  }
  std::vector<at::Tensor> weights;
  for (const at::Tensor& weight : choice.weights) weights.push_back(widened(weight));
  const std::vector<tenon_tensor> handles = handles_of(weights);
  std::vector<std::unique_ptr<WideAdapter>> wide;
  std::vector<const tenon_adapter*> adapters;
  for (const tenon_adapter* adapter : choice.adapters) {
    wide.push_back(std::make_unique<WideAdapter>(*adapter));
    adapters.push_back(&wide.back()->table);
  }
  tenon_call call{};
  call.struct_size = sizeof call;
  call.weights = handles.data();
  call.n_weights = static_cast<std::uint32_t>(handles.size());
  call.adapters = adapters.data();
  call.n_adapters = static_cast<std::uint32_t>(adapters.size());
  std::vector<at::Tensor> merged(weights.size());
  for (std::uint32_t i = 0; i < call.n_weights; ++i) {
    const at::Tensor folded = choice.layer_type->merged_weight(*choice.facts, call, i);
    if (!folded.defined()) continue;
    if (folded.sizes() != weights[i].sizes()) {
      throw Error({.stage = Stage::kPlugins,
                   .message = "`" + path + "`: plugin bug: " + choice.layer_type->id() +
                              " merged " + choice.facts->description().weights[i].name +
                              " into the shape " + c10::str(folded.sizes()) + ", it was " +
                              c10::str(weights[i].sizes())});
    }
    merged[i] = folded.detach();
  }
  return merged;
}

}  // namespace

std::vector<at::Tensor> AdaptedLayer::merged_weights(std::span<const std::string> adapters) const {
  const at::NoGradGuard no_grad;
  LayerChoice choice(weights_);
  for (const std::string& name : adapters) {
    const auto layer_adapter = slots_.find(name);
    if (layer_adapter == slots_.end()) continue;
    if (!layer_adapter->second->unmergeable().empty()) {
      fail_to_merge(*layer_adapter->second->layer_type(), path_,
                    layer_adapter->second->unmergeable());
    }
    add_to(choice, layer_adapter->second);
  }
  std::vector<at::Tensor> merged(weights_.size());
  if (choice.layer_type != nullptr) merged = fold_in(choice, path_);
  for (std::size_t i = 0; i < merged.size(); ++i) {
    if (merged[i].defined()) merged[i] = merged[i].to(weights_[i].scalar_type());
    const bool replaced = !choice.weights[i].is_same(weights_[i]);
    if (!merged[i].defined() && replaced) {
      merged[i] = choice.weights[i].detach().to(weights_[i].scalar_type(), /*non_blocking=*/false,
                                                /*copy=*/true);
    }
    if (!merged[i].defined() || !merged[i].is_floating_point()) continue;
    if (at::isfinite(merged[i]).all().item<bool>()) continue;
    if (!at::isfinite(weights_[i]).all().item<bool>()) {
      throw Error({.stage = Stage::kModel,
                   .message = "NaNs or infinities in the base's own " + weight_names_[i] + " of `" +
                              path_ + "`, not in the adapter; nothing was merged",
                   .hint = "the base's file is damaged, or its training diverged; take another"});
    }
    throw Error({.stage = Stage::kInjection,
                 .message = "NaNs or infinities in the merged " + weight_names_[i] + " of `" +
                            path_ + "`: the adapter " + join({adapters.begin(), adapters.end()}) +
                            " seems to be broken; nothing was merged",
                 .hint = "an adapter whose training diverged cannot be repaired; take an earlier "
                         "one"});
  }
  return merged;
}

std::vector<at::Tensor> AdaptedLayer::weight_changes(const std::string& adapter) const {
  const at::NoGradGuard no_grad;
  LayerChoice choice(weights_);
  if (const auto layer_adapter = slots_.find(adapter); layer_adapter != slots_.end())
    add_to(choice, layer_adapter->second);
  std::vector<at::Tensor> changes(weights_.size());
  if (choice.layer_type != nullptr) changes = fold_in(choice, path_);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const bool replaced = !choice.weights[i].is_same(weights_[i]);
    if (!changes[i].defined() && replaced) changes[i] = widened(choice.weights[i]);
    if (changes[i].defined()) changes[i] = changes[i] - widened(weights_[i]);
  }
  return changes;
}

}  // namespace tenon
