#include "app/stages.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/suggest.h"
#include "model/fingerprint.h"

namespace tenon {
namespace {

std::size_t depth_of(const std::string& path) {
  if (path.empty()) return 0;
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '.')) + 1;
}

// What one adapter has at each module.
struct Placed {
  explicit Placed(const AdapterInstance& adapter)
      : tensors(tensors_by_module(adapter)), saved(adapter.saved.begin(), adapter.saved.end()) {
    for (const auto& layer : adapter.layers) {
      layers.emplace(layer.facts->description().module_path, layer.layer_type);
    }
  }

  std::unordered_map<std::string, const LayerType*> layers;
  TensorsByModule tensors;
  std::unordered_set<std::string> saved;
};

}  // namespace

TensorsByModule tensors_by_module(const AdapterInstance& adapter) {
  TensorsByModule tensors;
  for (const AddedTensor& added : adapter.tensors) tensors[added.module].push_back(&added);
  return tensors;
}

std::string adapted_tree(const AdaptedModel& model) {
  std::ostringstream text;
  const std::vector<std::string> names = model.adapter_names();
  std::vector<Placed> adapters;
  for (const std::string& name : names) adapters.emplace_back(model.adapter(name));
  for (const Module& module : model.model().tree.modules) {
    const std::string indent(2 * depth_of(module.path), ' ');
    text << indent << (module.path.empty() ? "(root)" : module.path) << ": ";
    bool is_adapted = false;
    std::ostringstream saved;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string which = names.size() == 1 ? "" : "  [" + names[i] + "]";
      if (adapters[i].saved.contains(module.path)) saved << "  (saved whole, trained)" << which;
      const auto layer = adapters[i].layers.find(module.path);
      if (layer == adapters[i].layers.end()) continue;
      if (!is_adapted) {
        text << layer->second->title() << "\n" << indent << "  base_layer: " << module.type << "\n";
      }
      is_adapted = true;
      for (const AddedTensor* added : adapters[i].tensors[module.path]) {
        text << indent << "  " << added->name << " " << c10::str(added->tensor.sizes()) << which
             << "\n";
      }
    }
    if (is_adapted) continue;
    text << (module.type.empty() ? "(runs no operator)" : module.type) << saved.str();
    text << "\n";
  }
  return text.str();
}

}  // namespace tenon
