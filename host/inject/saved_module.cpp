#include "inject/saved_module.h"

#include <algorithm>
#include <map>
#include <set>

#include "graph/graph_walk.h"
#include "graph/owned_tensors.h"
#include "graph/subgraph.h"

namespace tenon {
namespace {

std::vector<OwnedTensor> owned_by(const ModelData& model, ModuleId module) {
  return OwnedTensors(model.tensors).of(model.tree.at(module).path);
}

// Those that its calls read.
std::vector<std::int32_t> tensors_of(const ModelData& model, ModuleId module,
                                     const std::vector<Subgraph>& calls) {
  std::vector<std::int32_t> tensors;
  for (const OwnedTensor& one : used_by(owned_by(model, module), calls, model.tensors)) {
    tensors.push_back(one.tensor);
  }
  return tensors;
}

bool lies_in_module(const Node& node, ModuleId module) {
  return std::find(node.module_stack.begin(), node.module_stack.end(), module) !=
         node.module_stack.end();
}

bool reads(const ModelData& model, const Node& node, const std::set<std::int32_t>& tensors) {
  bool any = false;
  for_each_read(node, [&](ValueId id) {
    any = any || tensors.contains(model.graph.values[static_cast<std::size_t>(id)].tensor);
  });
  return any;
}

}  // namespace

std::vector<CallSite> reading_sites(const ModelData& model,
                                    const std::vector<std::int32_t>& tensors,
                                    const std::function<bool(std::int32_t)>& counts) {
  const SubgraphFinder finder(model);
  const std::set<std::int32_t> wanted(tensors.begin(), tensors.end());

  // The innermost modules that read the tensors, with those of their nodes that do; a module is a
  // leaf as long as no node below it lies in another.
  std::map<ModuleId, std::vector<std::int32_t>> readers;
  std::set<ModuleId> containers{0};
  for (std::size_t i = 0; i < model.graph.nodes.size(); ++i) {
    const Node& node = model.graph.nodes[i];
    if (!node.module_stack.empty()) {
      containers.insert(node.module_stack.begin(), node.module_stack.end() - 1);
    }
    if (!counts(static_cast<std::int32_t>(i)) || !reads(model, node, wanted)) continue;
    readers[node.module_stack.empty() ? 0 : node.module_stack.back()].push_back(
        static_cast<std::int32_t>(i));
  }
  std::vector<CallSite> sites;
  for (const auto& [inner, nodes] : readers) {
    CallSite site;
    site.module = inner;
    if (containers.contains(inner)) {
      site.tensors = tensors;
      for (const std::int32_t node : nodes)
        site.subgraphs.push_back(finder.subgraph_of(inner, {node}));
    } else {
      // As an adapted layer's are, so that one layer can hold both.
      site.subgraphs = finder.find(inner);
      site.tensors = tensors_of(model, inner, site.subgraphs);
      for (const Subgraph& subgraph : site.subgraphs) {
        for (const std::int32_t tensor : subgraph.tensors) {
          const auto known = std::find(site.tensors.begin(), site.tensors.end(), tensor);
          if (wanted.contains(tensor) && known == site.tensors.end()) {
            site.tensors.push_back(tensor);
          }
        }
      }
    }
    sites.push_back(std::move(site));
  }
  return sites;
}

std::vector<CallSite> saved_sites(const ModelData& model, ModuleId module) {
  // A tensor of no other name is the module's wherever it is read: a bias that the caller adds.
  std::vector<std::int32_t> tensors;
  std::set<std::int32_t> of_no_other_name;
  for (const OwnedTensor& one : owned_by(model, module)) {
    tensors.push_back(one.tensor);
    if (model.tensors[static_cast<std::size_t>(one.tensor)].aliases.empty()) {
      of_no_other_name.insert(one.tensor);
    }
  }
  return reading_sites(model, tensors, [&](std::int32_t number) {
    const Node& node = model.graph.nodes[static_cast<std::size_t>(number)];
    return lies_in_module(node, module) || reads(model, node, of_no_other_name);
  });
}

}  // namespace tenon
