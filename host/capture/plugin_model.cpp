#include "capture/plugin_model.h"

#include <tenon/model_plugin.h>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "capture/captured_model.h"
#include "model/model_loader.h"

namespace tenon {
namespace {

struct Offer {
  const PluginInfo* plugin;
  const OfferedModel* model;
};

Offer find_offer(const ModelConfig& config, const PluginRegistry& plugins) {
  std::vector<Offer> found;
  std::vector<std::string> names;
  for (const PluginInfo* plugin : plugins.plugins()) {
    if (!plugin->has_models || !plugins.load(*plugin)) continue;
    const auto& table = *static_cast<const ModelTable*>(plugin->models);
    for (std::size_t i = 0; i < table.n_models; ++i) {
      names.emplace_back(table.models[i].name);
      if (names.back() == *config.plugin) found.push_back({plugin, &table.models[i]});
    }
  }
  if (!found.empty()) return found.front();  // in search order
  std::vector<std::string> refused;
  for (const RefusedPlugin& plugin : plugins.refused()) {
    refused.push_back("a plugin was refused: " + plugin.path.string() + ": " + plugin.reason);
  }
  const std::string near = did_you_mean(*config.plugin, names);
  throw Error({.stage = Stage::kPlugins,
               .message = "no plugin offers the model `" + *config.plugin + "`; " +
                          (names.empty() ? "none offers any model" : "there are " + join(names)) +
                          (near.empty() ? "" : "; " + near),
               .hint = refused.empty() ? "put its library into " + plugins.user_folder() +
                                             ", or name it in [plugins] files"
                                       : join(refused, "\n  "),
               .location = config.location});
}

// What the plugin's code throws is told as the model's fault.
CallableModel make(const Offer& offer, const ModelConfig& config) {
  const ModelOptions options(config.options);
  const auto fail = [&](const std::string& what, const std::string& hint = "") {
    throw Error(
        {.stage = Stage::kModel,
         .message = "model `" + *config.plugin + "` of plugin " + offer.plugin->id + ": " + what,
         .hint = hint,
         .location = config.location});
  };
  CallableModel model;
  try {
    model = offer.model->make(options);
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
  const std::vector<std::string> unread = options.unread();
  if (!unread.empty()) {
    const std::vector<std::string> known(options.known().begin(), options.known().end());
    fail("it has no option `" + join(unread, "`, `") + "`",
         known.empty() ? "it has none" : "it has " + join(known));
  }
  if (model.module == nullptr || !model.forward || model.examples.empty()) {
    fail("plugin bug: it gave no module, no forward or no example inputs");
  }
  return model;
}

}  // namespace

ModelData load_model(const ModelConfig& config, const PluginRegistry& plugins) {
  if (!config.plugin) return load_model(config);
  const Offer offer = find_offer(config, plugins);
  const CallableModel model = make(offer, config);
  CapturedModel captured = capture_model(model);
  for (const std::string& note : captured.notes) log::warning(note);
  for (const ModelTensor& tensor : captured.data.tensors) {
    if (tensor.tensor.is_leaf()) tensor.tensor.set_requires_grad(false);
  }
  captured.data.source = *config.plugin + " of plugin " + offer.plugin->id;
  if (config.weights) load_weights(captured.data, *config.weights);
  return std::move(captured.data);
}

}  // namespace tenon
