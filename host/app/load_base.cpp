#include "app/load_base.h"

#include "base/log.h"
#include "capture/plugin_model.h"
#include "model/devices.h"
#include "model/model_device.h"
#include "plan/quantized_base.h"

namespace tenon {

ModelData load_base_to_look(const RunConfig& config, const PluginRegistry& plugins) {
  if (config.values.contains("model.seed") && config.model.layers.empty()) {
    log::warning("[model] seed does nothing here: it draws the weights of a declared model");
  }
  ModelData model = load_model(config.model, plugins);
  for (const std::string& note : quantize_base(model, config.model, config.adapters)) {
    log::info(note);
  }
  return model;
}

ModelData load_base(const RunConfig& config, const PluginRegistry& plugins) {
  const c10::Device device = require_device(config.model);
  ModelData model = load_base_to_look(config, plugins);
  move_to_device(model, device);
  return model;
}

}  // namespace tenon
