#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "adapted/adapted_model.h"
#include "model/tensor_reads.h"

namespace tenon {
namespace {

bool owns(const ModelTensor& tensor, const std::string& name) {
  return tensor.name == name || std::ranges::count(tensor.aliases, name) > 0;
}

// The layer that one of the adapters ties this one's weight to.
ModuleId merges_with(const AdaptedLayer& layer, const std::vector<std::string>& adapters) {
  for (const std::string& name : adapters) {
    const LayerAdapter* layer_adapter = layer.find(name);
    if (layer_adapter != nullptr && layer_adapter->merges_with() != kNoModule)
      return layer_adapter->merges_with();
  }
  return kNoModule;
}

// Of the nodes that read a tensor, those in the layer's calls.
std::vector<std::int32_t> readers_in(const std::vector<Subgraph>& subgraphs,
                                     const std::set<std::int32_t>& readers) {
  std::vector<std::int32_t> inside;
  for (const Subgraph& subgraph : subgraphs) {
    std::ranges::copy_if(subgraph.nodes, std::back_inserter(inside),
                         [&](std::int32_t node) { return readers.contains(node); });
  }
  return inside;
}

}  // namespace

// Layers that share a weight and change it in one way get one merged tensor, not two that are
// rounded apart. `weights`: by site.
void AdaptedModel::merge_as_one(const std::vector<std::string>& names,
                                std::vector<std::vector<at::Tensor>>& weights) const {
  std::size_t number = 0;
  for (const auto& entry : sites_) {
    const Site& site = entry.second;
    std::vector<at::Tensor>& own = weights[number++];
    const ModuleId other = merges_with(*site.layer, names);
    const auto owner = sites_.find(other);
    if (owner == sites_.end()) continue;
    const bool alike = std::ranges::all_of(names, [&](const std::string& name) {
      const LayerAdapter* layer_adapter = site.layer->find(name);
      const LayerAdapter* owners = owner->second.layer->find(name);
      return layer_adapter == nullptr ? owners == nullptr : layer_adapter->merges_with() == other;
    });
    if (!alike) continue;
    const auto& merged = weights[static_cast<std::size_t>(std::distance(sites_.begin(), owner))];
    for (std::size_t i = 0; i < own.size(); ++i) {
      const auto same = std::ranges::find(owner->second.tensors, site.tensors[i]);
      if (same == owner->second.tensors.end()) continue;
      own[i] = merged[static_cast<std::size_t>(same - owner->second.tensors.begin())];
    }
  }
}

std::string AdaptedModel::merged_name(const Site& site, std::size_t weight) const {
  const ModelTensor& base = model_.tensors[static_cast<std::size_t>(site.tensors[weight])];
  const auto name = base.name_in(site.layer->path());
  return name && !site.layer->path().empty() ? site.layer->path() + "." + *name : base.name;
}

// Of modules that adapters hold whole, those that `met`, numbers of tensors, does not have.
std::vector<MergedTensor> AdaptedModel::saved_tensors(const std::vector<std::string>& names,
                                                      std::set<std::int32_t> met) const {
  std::vector<MergedTensor> tensors;
  for (const std::string& name : names) {
    for (const AddedTensor& added : adapter(name).tensors) {
      if (std::ranges::count(adapter(name).saved, added.module) == 0) continue;
      const auto base = std::ranges::find_if(
          model_.tensors, [&](const ModelTensor& tensor) { return owns(tensor, added.key()); });
      const auto number = static_cast<std::int32_t>(base - model_.tensors.begin());
      if (base == model_.tensors.end() || !met.insert(number).second) continue;
      tensors.push_back({added.key(), number, added.tensor.detach(), {}});
    }
  }
  return tensors;
}

void AdaptedModel::visit_merged(const std::vector<std::string>& names,
                                const std::function<void(const MergedTensor&)>& visit) const {
  require(names);
  std::set<std::int32_t> met;
  for (const auto& [module, site] : sites_) {
    const std::vector<at::Tensor> merged = site.layer->merged_weights(names);
    for (std::size_t i = 0; i < merged.size(); ++i) {
      if (!merged[i].defined()) continue;
      met.insert(site.tensors[i]);
      visit({merged_name(site, i), site.tensors[i], merged[i], {}});
    }
  }
  for (const MergedTensor& saved : saved_tensors(names, std::move(met))) visit(saved);
}

std::vector<MergedTensor> AdaptedModel::merged_tensors() const {
  std::vector<MergedTensor> tensors;
  std::set<std::int32_t> met;
  const auto readers = readers_by_tensor(model_.graph);
  const auto readers_of = [&](const Site& site, std::int32_t tensor) {
    const auto found = readers.find(tensor);
    return found == readers.end() ? std::vector<std::int32_t>()
                                  : readers_in(site.subgraphs, found->second);
  };
  for (const auto& [module, site] : sites_) {
    const std::vector<at::Tensor>& merged = site.layer->merged_tensors();
    for (std::size_t i = 0; i < merged.size(); ++i) {
      if (!merged[i].defined()) continue;
      met.insert(site.tensors[i]);
      tensors.push_back(
          {merged_name(site, i), site.tensors[i], merged[i], readers_of(site, site.tensors[i])});
    }
  }
  std::ranges::move(saved_tensors(merged_, std::move(met)), std::back_inserter(tensors));
  return tensors;
}

std::vector<std::string> AdaptedModel::merged_but_shared() const {
  std::vector<std::string> shared;
  const std::vector<MergedTensor> all = merged_tensors();
  const auto readers = readers_by_tensor(model_.graph);
  for (const MergedTensor& merged : all) {
    if (merged.readers.empty()) continue;
    for (const std::int32_t node : readers.at(merged.tensor)) {
      const bool reads_merged = std::ranges::any_of(all, [&](const MergedTensor& other) {
        return other.tensor == merged.tensor && other.merged.is_same(merged.merged) &&
               std::ranges::count(other.readers, node) > 0;
      });
      if (reads_merged) continue;
      shared.push_back("`" + merged.name + "`, which " +
                       model_.graph.nodes[static_cast<std::size_t>(node)].target + " reads too");
      break;
    }
  }
  return shared;
}

}  // namespace tenon
