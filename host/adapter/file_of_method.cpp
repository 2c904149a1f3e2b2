#include "adapter/file_of_method.h"

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "plugin/host_table.h"
#include "plugin/plugin_registry.h"
#include "plugin/running_plugin.h"
#include "plugin/saved_file.h"
#include "train/method_layers.h"

namespace tenon {
namespace {

const tenon_files* files_extension(const Method& method) {
  const tenon_method* self = method.self();
  if (self->extension == nullptr) return nullptr;
  return static_cast<const tenon_files*>(self->extension(self, TENON_FILES));
}

}  // namespace

FileOfMethod file_of_method(const AdapterInstance& adapter) {
  const tenon_files* files = adapter.method == nullptr ? nullptr : files_extension(*adapter.method);
  if (files == nullptr) return {};
  const at::NoGradGuard no_grad;
  const Method& method = *adapter.method;
  MethodLayers layers(adapter);
  layers.refresh(false);
  tenon_file file{&method.keys(), {}};
  for (const auto* view : layers.views()) file.n_parameters.push_back(view->n_params);
  tenon_error error;
  const RunningPlugin running(method.plugin().id.c_str(), "save");
  if (files->save(method.self(), &host_table(), layers.views().data(),
                  static_cast<std::uint32_t>(layers.views().size()), &file, &error) != TENON_OK) {
    const PluginInfo& plugin = method.plugin();
    throw Error({.stage = Stage::kAdapter,
                 .message = error.text.empty()
                                ? "plugin bug: " + method.name() + ": save failed without a message"
                                : error.text,
                 .hint = "the method comes from plugin " + plugin.id + " " + plugin.version + " (" +
                         plugin.path.string() + ")"});
  }
  FileOfMethod changes{std::move(file.keys), {}};
  for (auto& [place, tensor] : file.parameters) {
    const PlannedLayer& planned = layers.planned(place.first);
    const ParameterSpec& spec = planned.parameters[place.second];
    const std::string key = spec.is_shared()
                                ? spec.shared_key
                                : planned.facts->description().module_path + "." + spec.file_name;
    changes.tensors.insert_or_assign(key, tensor.contiguous());
  }
  return changes;
}

}  // namespace tenon
