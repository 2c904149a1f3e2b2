#include "app/load_base.h"

#include "base/log.h"
#include "capture/plugin_model.h"
#include "plan/quantized_base.h"

namespace tenon {

ModelData load_base(const RunConfig& config, const PluginRegistry& plugins) {
  ModelData model = load_model(config.model, plugins);
  for (const std::string& note : quantize_base(model, config.model, config.adapters)) {
    log::info(note);
  }
  return model;
}

}  // namespace tenon
