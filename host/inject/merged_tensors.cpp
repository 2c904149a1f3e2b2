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
  for (const MergedTensor& merged : merged_tensors()) {
    if (merged.readers.empty()) continue;
    for (std::size_t i = 0; i < model_.graph.nodes.size(); ++i) {
      const auto number = static_cast<std::int32_t>(i);
      if (std::ranges::count(merged.readers, number) > 0) continue;
      if (!reads(model_.graph, number, merged.tensor)) continue;
      shared.push_back("`" + merged.name + "`, which " + model_.graph.nodes[i].target +
                       " reads too");
      break;
    }
  }
  return shared;
}

}  // namespace tenon
