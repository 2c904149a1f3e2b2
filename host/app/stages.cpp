#include "app/stages.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <sstream>

#include "adapter/fingerprint.h"
#include "base/error.h"
#include "base/suggest.h"
#include "config/lora_init.h"

namespace tenon {
namespace {

std::size_t depth_of(const std::string& path) {
  if (path.empty()) return 0;
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '.')) + 1;
}

}  // namespace

std::string adapted_tree(const AdaptedModel& model) {
  std::ostringstream text;
  const std::vector<std::string> names = model.adapter_names();
  for (const Module& module : model.model().tree.modules) {
    const std::string indent(2 * depth_of(module.path), ' ');
    text << indent << (module.path.empty() ? "(root)" : module.path) << ": ";
    bool is_adapted = false;
    for (const std::string& name : names) {
      const PlacedAdapter& adapter = model.adapter(name);
      const std::string which = names.size() == 1 ? "" : "  [" + name + "]";
      const auto layer = std::ranges::find(adapter.layers, module.path, [](const auto& planned) {
        return planned.facts->description().module_path;
      });
      if (layer == adapter.layers.end()) continue;
      if (!is_adapted) {
        text << layer->layer_type->title() << "\n"
             << indent << "  base_layer: " << module.type << "\n";
      }
      is_adapted = true;
      for (const AddedTensor& added : adapter.tensors) {
        if (added.module != module.path) continue;
        text << indent << "  " << added.name << " " << c10::str(added.tensor.sizes()) << which
             << "\n";
      }
    }
    if (is_adapted) continue;
    text << (module.type.empty() ? "(runs no operator)" : module.type);
    for (const std::string& name : names) {
      if (std::ranges::count(model.adapter(name).saved, module.path) == 0) continue;
      text << "  (saved whole, trained)" << (names.size() == 1 ? "" : "  [" + name + "]");
    }
    text << "\n";
  }
  return text.str();
}

}  // namespace tenon
