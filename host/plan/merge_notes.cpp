#include "plan/merge_notes.h"

#include <algorithm>
#include <map>
#include <set>

#include "graph/owned_tensors.h"
#include "model/tensor_reads.h"
#include "plan/grouped_texts.h"
#include "plan/weight_targets.h"

namespace tenon {
namespace {

// The weights that merging changes: those that parameters are named after, else the `weight`.
std::vector<std::int32_t> changed_tensors(const PlannedLayer& layer) {
  std::vector<std::string> names = adapted_weights(*layer.facts, layer.parameters);
  if (names.empty()) names = {"weight"};
  std::vector<std::int32_t> changed;
  const std::vector<WeightFacts>& weights = layer.facts->description().weights;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (std::ranges::find(names, weights[i].name) != names.end()) {
      changed.push_back(layer.tensors[i]);
    }
  }
  return changed;
}

// One tensor, and the layers that merging changes it for.
struct Change {
  std::set<std::string> names;  // by which the layers know it
  std::set<std::int32_t> nodes;
  std::string layer;
};

std::map<std::int32_t, Change> changes_of(const ModelData& model, const InjectionPlan& plan) {
  std::map<std::int32_t, Change> changes;
  for (const PlannedLayer& layer : plan.layers) {
    const std::string& path = layer.facts->description().module_path;
    for (const std::int32_t tensor : changed_tensors(layer)) {
      Change& change = changes[tensor];
      const auto name = model.tensors[static_cast<std::size_t>(tensor)].name_in(path);
      change.names.insert(path + "." + name.value_or(""));
      change.layer = path;
      for (const Subgraph& subgraph : layer.subgraphs) {
        change.nodes.insert(subgraph.nodes.begin(), subgraph.nodes.end());
      }
    }
  }
  return changes;
}

}  // namespace

std::vector<std::string> merge_notes(const ModelData& model, const InjectionPlan& plan) {
  GroupedTexts notes;
  for (const PlannedLayer& layer : plan.layers) {
    if (layer.unmergeable.empty()) continue;
    const std::string& path = layer.facts->description().module_path;
    notes.add(path, "the adapter on `" + path + "` cannot be merged: " + layer.unmergeable);
  }
  const auto readers = readers_by_tensor(model.graph);
  for (const auto& [tensor, change] : changes_of(model, plan)) {
    const ModelTensor& base = model.tensors[static_cast<std::size_t>(tensor)];
    const auto read = readers.find(tensor);
    const bool others = read != readers.end() && !std::ranges::includes(change.nodes, read->second);
    // A name that no adapted layer has stays with the other readers.
    const bool has_name = !change.names.contains(base.name) ||
                          std::ranges::any_of(base.aliases, [&](const auto& alias) {
                            return !change.names.contains(alias);
                          });
    if (!others || has_name) continue;
    notes.add(change.layer, "the adapter on `" + change.layer +
                                "` cannot be merged: its weight is read outside the adapted "
                                "layers too, by no name of its own");
  }
  return notes.texts();
}

}  // namespace tenon
