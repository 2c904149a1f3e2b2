#include "adapted/adapter_status.h"

#include <c10/core/ScalarType.h>

#include <algorithm>

#include "adapted/adapted_model.h"
#include "adapted/parameter_count.h"
#include "base/lists.h"

namespace tenon {
namespace {

// PyTorch's own name: "float32".
std::string dtype_name(at::ScalarType type) { return std::string(c10::getDtypeNames(type).first); }

// Parameters that the plugin froze for good do not count.
class TrainedCount {
 public:
  void add(const AddedTensor& added) {
    if (!added.trainable) return;
    any_ = any_ || added.tensor.requires_grad();
    all_ = all_ && added.tensor.requires_grad();
  }
  Trained result() const {
    if (!any_) return Trained::kNone;
    return all_ ? Trained::kAll : Trained::kSome;
  }

 private:
  bool any_ = false;
  bool all_ = true;
};

std::vector<std::string> those_of(const std::vector<std::string>& names,
                                  const std::vector<std::string>& available) {
  std::vector<std::string> found;
  for (const std::string& name : names) {
    if (std::ranges::count(available, name) > 0) found.push_back(name);
  }
  return found;
}

void add_tensors(const AdapterInstance& adapter, LayerStatus& layer) {
  const std::string& name = adapter.config.name;
  TrainedCount trained;
  for (const AddedTensor& added : adapter.tensors) {
    if (added.module != layer.name) continue;
    trained.add(added);
    add_once(layer.dtypes[name], dtype_name(added.tensor.scalar_type()));
    add_once(layer.devices[name], added.tensor.device().str());
  }
  layer.trained[name] = trained.result();
  layer.available.push_back(name);
}

}  // namespace

ModelStatus status_of(const AdaptedModel& model) {
  const ModuleTree& tree = model.model().tree;
  ModelStatus status;
  status.base_type = tree.modules.front().type;
  status.enabled = model.enabled();
  status.active = model.active();
  status.merged = model.merged();
  status.available = model.adapter_names();
  const ParameterCount count = count_parameters(model);
  status.trainable_params = count.trainable;
  status.total_params = count.all;

  std::map<ModuleId, LayerStatus> layers;
  const auto layer_at = [&](const std::string& path) -> LayerStatus& {
    const ModuleId module = tree.find(path);
    LayerStatus& layer = layers[module];
    layer.name = path;
    layer.type = tree.at(module).type;
    return layer;
  };
  for (const std::string& name : status.available) {
    const AdapterInstance& adapter = model.adapter(name);
    status.peft_types[name] = adapter.config.peft_type;
    TrainedCount trained;
    for (const AddedTensor& added : adapter.tensors) trained.add(added);
    status.trained[name] = trained.result();
    for (const PlannedLayer& planned : adapter.layers) {
      LayerStatus& layer = layer_at(planned.facts->description().module_path);
      layer.plugin = planned.layer_type->plugin().id;
      add_tensors(adapter, layer);
    }
    for (const std::string& path : adapter.saved) add_tensors(adapter, layer_at(path));
  }
  for (auto& [module, layer] : layers) {
    layer.enabled = status.enabled;
    layer.active = those_of(status.active, layer.available);
    layer.merged = those_of(status.merged, layer.available);
    status.layers.push_back(std::move(layer));
  }
  return status;
}

}  // namespace tenon
