#include <algorithm>

#include "inject/adapted_model.h"
#include "model/graph_walk.h"

namespace tenon {
namespace {

bool owns(const ModelTensor& tensor, const std::string& name) {
  return tensor.name == name || std::ranges::count(tensor.aliases, name) > 0;
}

bool reads(const Graph& graph, std::int32_t node, std::int32_t tensor) {
  bool reads = false;
  for_each_read(graph.nodes[static_cast<std::size_t>(node)], [&](ValueId id) {
    reads = reads || graph.values[static_cast<std::size_t>(id)].tensor == tensor;
  });
  return reads;
}

// The layer that one of the adapters ties this one's weight to.
ModuleId changes_as(const AdaptedLayer& layer, const std::vector<std::string>& adapters) {
  for (const std::string& name : adapters) {
    const AdapterSlot* slot = layer.find(name);
    if (slot != nullptr && slot->changes_as() != kNoModule) return slot->changes_as();
  }
  return kNoModule;
}

std::vector<std::int32_t> readers_of(const Graph& graph, const std::vector<Region>& regions,
                                     std::int32_t tensor) {
  std::vector<std::int32_t> readers;
  for (const Region& region : regions) {
    for (const std::int32_t number : region.nodes) {
      if (reads(graph, number, tensor)) readers.push_back(number);
    }
  }
  return readers;
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
    const ModuleId other = changes_as(*site.layer, names);
    const auto owner = sites_.find(other);
    if (owner == sites_.end()) continue;
    const bool alike = std::ranges::all_of(names, [&](const std::string& name) {
      const AdapterSlot* slot = site.layer->find(name);
      const AdapterSlot* owners = owner->second.layer->find(name);
      return slot == nullptr ? owners == nullptr : slot->changes_as() == other;
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

std::vector<MergedTensor> AdaptedModel::merged_tensors() const {
  std::vector<MergedTensor> tensors;
  for (const auto& [module, site] : sites_) {
    const std::vector<at::Tensor>& merged = site.layer->merged_tensors();
    for (std::size_t i = 0; i < merged.size(); ++i) {
      if (!merged[i].defined()) continue;
      const ModelTensor& base = model_.tensors[static_cast<std::size_t>(site.tensors[i])];
      const auto name = base.name_in(site.layer->path());
      tensors.push_back(
          {name && !site.layer->path().empty() ? site.layer->path() + "." + *name : base.name,
           site.tensors[i], merged[i], readers_of(model_.graph, site.regions, site.tensors[i])});
    }
  }
  for (const std::string& name : merged_) {
    for (const AddedTensor& added : adapter(name).tensors) {
      if (std::ranges::count(adapter(name).saved, added.module) == 0) continue;
      const auto base = std::ranges::find_if(
          model_.tensors, [&](const ModelTensor& tensor) { return owns(tensor, added.key()); });
      const auto number = static_cast<std::int32_t>(base - model_.tensors.begin());
      if (base == model_.tensors.end() ||
          std::ranges::count(tensors, number, &MergedTensor::tensor) > 0)
        continue;
      tensors.push_back({added.key(), number, added.tensor.detach(), {}});
    }
  }
  return tensors;
}

std::vector<std::string> AdaptedModel::merged_but_shared() const {
  std::vector<std::string> shared;
  const std::vector<MergedTensor> all = merged_tensors();
  for (const MergedTensor& merged : all) {
    if (merged.readers.empty()) continue;
    for (std::size_t i = 0; i < model_.graph.nodes.size(); ++i) {
      const auto number = static_cast<std::int32_t>(i);
      const bool reads_merged = std::ranges::any_of(all, [&](const MergedTensor& other) {
        return other.tensor == merged.tensor && other.merged.is_same(merged.merged) &&
               std::ranges::count(other.readers, number) > 0;
      });
      if (reads_merged) continue;
      if (!reads(model_.graph, number, merged.tensor)) continue;
      shared.push_back("`" + merged.name + "`, which " + model_.graph.nodes[i].target +
                       " reads too");
      break;
    }
  }
  return shared;
}

}  // namespace tenon
