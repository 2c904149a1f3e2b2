// What an adapter's folder gets: adapter_files.
#include <utility>

#include "adapter/config_for_peft.h"
#include "adapter/file_of_method.h"
#include "adapter/plain_factors.h"
#include "adapter/twin_modules.h"
#include "model/fingerprint.h"
#include "operations/adapter_stages.h"

namespace tenon {

AdapterFiles adapter_files(const AdaptedModel& model, const AdapterInstance& adapter) {
  AdapterFiles files;
  files.config = config_for_peft(model.model(), adapter);
  FileOfMethod changes = file_of_method(adapter);
  for (auto& [key, value] : changes.keys) files.config.method_keys[key] = std::move(value);
  const std::string& root = model.model().tree.modules.front().type;
  const std::size_t dot = root.rfind('.');
  files.base_model_class = dot == std::string::npos ? root : root.substr(dot + 1);
  files.parent_library = dot == std::string::npos ? "__main__" : root.substr(0, dot);
  for (const AddedTensor& added : adapter.tensors) {
    if (!added.is_saved) continue;
    const auto changed = changes.tensors.find(added.key());
    const at::Tensor tensor =
        changed == changes.tensors.end() ? added.tensor.detach() : changed->second;
    files.tensors.push_back(
        {added.key(), added.file_dtype ? tensor.to(*added.file_dtype) : tensor});
  }
  for (AdapterTensor& tensor : twin_tensors(model.model(), twin_modules(model.model(), adapter))) {
    files.tensors.push_back(std::move(tensor));
  }
  for (const auto& [key, tensor] : adapter.kept) files.tensors.push_back({key, tensor});
  files.has_tenon_json = true;
  files.base_fingerprint = base_fingerprint(model.base_tensors());
  for (const PlannedLayer& layer : adapter.layers) {
    const LayerFacts::Description& facts = layer.facts->description();
    const PluginInfo& plugin = layer.layer_type->plugin();
    files.layers.push_back({facts.module_path, facts.type, plugin.id, plugin.version, plugin.sha256,
                            *layer.own_options});
  }
  // What data changed of the base cannot be worked out again, so it goes into the file.
  const Factors* factors = adapter.method == nullptr ? nullptr : adapter.method->factors();
  if (factors == nullptr) return files;
  const auto starts = starts_beside_the_base(adapter.given, *factors);
  return starts.empty() ? files : as_plain_factors(std::move(files), *adapter.method, starts);
}

}  // namespace tenon
