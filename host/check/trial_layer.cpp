#include "check/trial_layer.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "check/host_probe.h"
#include "check/layer_probe.h"
#include "graph/parameter_init.h"
#include "model/devices.h"
#include "model/model_device.h"
#include "plan/weight_targets.h"
#include "plugin/plugin_library.h"

namespace tenon {
namespace {

LoadedLibrary open(const std::filesystem::path& file) {
  auto result = load_library(file, {}, HostProbe::instance().table());
  if (const auto* refusal = std::get_if<PluginRefusal>(&result)) {
    throw Error({.stage = Stage::kPlugins, .message = refusal->reason});
  }
  return std::get<LoadedLibrary>(std::move(result));
}

// What a method must be told: a small rank, lists that must not be empty, such as the tokens to
// train, and required keys, where their declaration names a value that they may have.
void fill_keys(const PluginRegistry& registry, double dropout, AdapterConfig& config) {
  const Method* method = registry.methods().find(config.method);
  if (method == nullptr) return;
  // What the user gave stays.
  OptionTable filled;
  if (const Factors* factors = method->factors(); factors != nullptr) {
    filled[factors->keys().rank] = std::int64_t{2};
    filled[factors->keys().alpha] = std::int64_t{4};
    if (!factors->keys().dropout.empty()) filled[factors->keys().dropout] = dropout;
  }
  for (const DeclaredOption& key : method->keys()) {
    if (!key.is_settable()) continue;
    if (key.types == TENON_OPTION_INT_LIST) filled[key.key] = std::vector<std::int64_t>{0, 2};
    if (!key.required) continue;
    if (!std::holds_alternative<std::monostate>(key.minimum)) {
      filled[key.key] = key.minimum;
    } else if (!key.choices.empty()) {
      filled[key.key] = key.choices.front();
    }
  }
  config.method_keys.merge(filled);
}

InjectionPlan plan_with(const PluginRegistry& registry, const LayerUnderCheck& layer,
                        const TrialBase& base, double dropout) {
  AdapterConfig config = layer.given;
  config.method = layer.method;
  if (layer.base_type == kParameterType) {
    config.target_parameters = {base.layer + ".weight"};
  } else {
    config.target_modules = std::vector<std::string>{base.layer};
  }
  fill_keys(registry, dropout, config);
  return plan_injection(base.model, config, registry);
}

}  // namespace

TrialLayer::TrialLayer(const LayerUnderCheck& layer, TrialBase base)
    : layer_(layer), base_(std::move(base)) {
  ModelConfig place;
  place.device = layer.device;
  move_to_device(base_.model, require_device(place));
  HostProbe::instance().step("it was opened and initialised");
  const LoadedLibrary library = open(layer.file);
  watched_ = {layer.file, library};
  watched_.library.plugin = watch_layer(library.plugin, layer.id);
  merging_ = {layer.file, library};
  merging_.library.plugin = watch_merging(library.plugin, layer.id);
  registry_ = std::make_unique<PluginRegistry>(PluginsConfig{},
                                               std::vector<std::filesystem::path>{}, &watched_);
  merging_registry_ = std::make_unique<PluginRegistry>(
      PluginsConfig{}, std::vector<std::filesystem::path>{}, &merging_);
}

bool TrialLayer::has_forward() const {
  return watched_.library.plugin.layer_types[0]->forward != nullptr;
}

bool TrialLayer::can_merge() const {
  return watched_.library.plugin.layer_types[0]->merged_weight != nullptr;
}

bool TrialLayer::heeds_rows() const {
  return (watched_.library.plugin.layer_types[0]->flags & TENON_LAYER_ROWS) != 0;
}

InjectionPlan TrialLayer::plan(const TrialBase& base, double dropout) const {
  return plan_with(*registry_, layer_, base, dropout);
}

std::unique_ptr<AdaptedModel> TrialLayer::adapt(const TrialBase& base, double dropout) const {
  return std::make_unique<AdaptedModel>(base.model, plan(base, dropout), 0);
}

std::unique_ptr<AdaptedModel> TrialLayer::adapt_merged(const TrialBase& base) const {
  return std::make_unique<AdaptedModel>(base.model, plan_with(*merging_registry_, layer_, base, 0),
                                        0);
}

void draw_parameters(const AdaptedModel& model) {
  const at::NoGradGuard no_grad;
  const at::Generator generator = make_generator(3);
  for (at::Tensor parameter : model.trainable()) {
    parameter.copy_(at::empty(parameter.sizes(), at::kDouble).normal_(0, 0.5, generator));
  }
}

}  // namespace tenon
