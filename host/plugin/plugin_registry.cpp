#include "plugin/plugin_registry.h"

#include <algorithm>
#include <variant>

#include "base/error.h"
#include "base/log.h"
#include "plugin/offered_objectives.h"
#include "plugin/plugin_dispatch.h"
#include "plugin/plugin_search.h"

namespace tenon {

struct RegistryState {
  std::vector<PluginPlace> places;
  std::map<std::string, std::string> pinned;
  FoundPlugins found;
  std::optional<PluginDispatch> dispatch;
  std::optional<MethodTable> methods;
};

namespace {

void take_over(const LoadedLibrary& loaded, PluginInfo& plugin) {
  plugin.id = loaded.id;
  plugin.version = loaded.version;
  plugin.sha256 = loaded.sha256;
  plugin.models = loaded.models;
  for (std::uint32_t i = 0; i < loaded.plugin.n_layer_types; ++i) {
    plugin.layer_types.emplace_back(*loaded.plugin.layer_types[i], plugin);
  }
  for (std::uint32_t i = 0; i < loaded.plugin.n_methods; ++i) {
    plugin.methods.emplace_back(*loaded.plugin.methods[i], plugin);
  }
  for (const tenon_loss* loss : losses_of(loaded.plugin)) plugin.losses.emplace_back(*loss, plugin);
  for (const tenon_metric* metric : metrics_of(loaded.plugin)) {
    plugin.metrics.emplace_back(*metric, plugin);
  }
  plugin.has_objectives = !plugin.losses.empty() || !plugin.metrics.empty();
  plugin.is_loaded = true;
}

PluginOffer offer_of(const PluginInfo& loaded, const tenon_plugin& table) {
  PluginOffer offer;
  offer.vendor = table.vendor == nullptr ? "" : table.vendor;
  offer.license = table.license == nullptr ? "" : table.license;
  for (const LayerType& type : loaded.layer_types) {
    offer.layer_types.push_back({type.id(), type.method(), type.base_types(), type.priority()});
  }
  for (const Method& method : loaded.methods) {
    offer.methods.push_back({method.name(), method.peft_type(), method.is_in_peft()});
  }
  return offer;
}

// Opens the plugin's file; why it is refused, if it is.
std::optional<PluginRefusal> open_plugin(PluginInfo& plugin,
                                         const std::map<std::string, std::string>& pinned) {
  auto result = load_library(plugin.path, pinned);
  if (auto* refusal = std::get_if<PluginRefusal>(&result)) return std::move(*refusal);
  take_over(std::get<LoadedLibrary>(result), plugin);
  return std::nullopt;
}

bool load_into(RegistryState& state, PluginInfo& plugin) {
  if (plugin.is_loaded || plugin.is_refused) return plugin.is_loaded;
  if (const auto refusal = open_plugin(plugin, state.pinned)) {
    log::warning("plugin " + plugin.path.string() + " is refused: " + refusal->reason);
    state.found.refused.push_back({plugin.path, refusal->rule, refusal->reason});
    plugin.is_refused = true;
  }
  return plugin.is_loaded;
}

// Of each name the one of the highest place; `of` tells a plugin's own.
template <typename T>
std::vector<const T*> offered(RegistryState& state, std::vector<T> PluginInfo::*of) {
  std::vector<const T*> all;
  for (PluginInfo& plugin : state.found.plugins) {
    if (!plugin.has_objectives || !load_into(state, plugin)) continue;
    for (const T& each : plugin.*of) {
      const auto known = std::ranges::find(all, each.name(), &T::name);
      if (known == all.end()) {
        all.push_back(&each);
      } else if ((*known)->plugin().place == plugin.place) {
        throw Error({.stage = Stage::kPlugins,
                     .message = "`" + each.name() + "` comes from " +
                                (*known)->plugin().path.string() + " and from " +
                                plugin.path.string() + ", which lie in one place",
                     .hint = "take one of them out of " + plugin.path.parent_path().string()});
      }
    }
  }
  return all;
}

template <typename T>
const T* named(const std::vector<const T*>& all, const std::string& name) {
  const auto found = std::ranges::find(all, name, &T::name);
  return found == all.end() ? nullptr : *found;
}

}  // namespace

PluginRegistry::PluginRegistry(const PluginsConfig& config,
                               const std::vector<std::filesystem::path>& command_line,
                               const OpenedPlugin* first)
    : state_(std::make_unique<RegistryState>()) {
  state_->places = search_places(config, command_line);
  state_->pinned = config.sha256;
  int order = 0;
  FoundPlugins& found = state_->found;
  if (first != nullptr) {
    PluginInfo& plugin = found.plugins.emplace_back();
    plugin.path = first->path;
    plugin.origin = "opened";
    plugin.place = order - 1;
    take_over(first->library, plugin);
    plugin.offer = offer_of(plugin, first->library.plugin);
  }
  for (const auto& file : config.files) add_file(found, file, "config", order, true, config.sha256);
  for (PluginInfo& plugin : found.plugins) {
    if (plugin.is_loaded) continue;
    if (const auto refusal = open_plugin(plugin, config.sha256)) {
      throw Error(
          {.stage = Stage::kPlugins,
           .message = "the plugin " + plugin.path.string() + " is refused: " + refusal->reason,
           .hint = "it is named in [plugins] files"});
    }
  }
  for (const PluginPlace& place : state_->places) add_place(found, place, ++order, config.sha256);
  state_->methods.emplace(found.plugins, [state = state_.get()](PluginInfo& plugin) {
    return load_into(*state, plugin);
  });
  state_->dispatch.emplace(found.plugins, config.prefer);
}

PluginRegistry::~PluginRegistry() = default;

const LayerType* PluginRegistry::find(const std::string& method, const std::string& type) const {
  while (const PluginDispatch::Entry* entry = state_->dispatch->find(method, type)) {
    const PluginDispatch::Candidate& winner = *entry->winner();
    if (!load_into(*state_, *winner.plugin)) continue;  // then another one serves it
    for (const LayerType& layer_type : winner.plugin->layer_types) {
      if (layer_type.id() == winner.id) return &layer_type;
    }
    return nullptr;
  }
  return nullptr;
}

bool PluginRegistry::has_preference(const std::string& method, const std::string& type) const {
  const PluginDispatch::Entry* entry = state_->dispatch->find(method, type);
  return entry != nullptr && entry->preferred;
}

const MethodTable& PluginRegistry::methods() const { return *state_->methods; }

std::vector<const PluginLoss*> PluginRegistry::losses() const {
  return offered(*state_, &PluginInfo::losses);
}
std::vector<const PluginMetric*> PluginRegistry::metrics() const {
  return offered(*state_, &PluginInfo::metrics);
}
const PluginLoss* PluginRegistry::find_loss(const std::string& name) const {
  return named(losses(), name);
}
const PluginMetric* PluginRegistry::find_metric(const std::string& name) const {
  return named(metrics(), name);
}

std::string PluginRegistry::user_folder() const {
  for (const PluginPlace& place : state_->places) {
    if (place.origin == kUserOrigin) return place.path.string();
  }
  return "a folder that [plugins] directories names";
}

std::vector<std::string> PluginRegistry::supported_types(const std::string& method) const {
  return state_->dispatch->supported_types(method);
}

std::vector<const PluginInfo*> PluginRegistry::plugins() const {
  std::vector<const PluginInfo*> plugins;
  for (const PluginInfo& plugin : state_->found.plugins) {
    if (!plugin.is_refused) plugins.push_back(&plugin);
  }
  return plugins;
}

bool PluginRegistry::load(const PluginInfo& plugin) const {
  for (PluginInfo& known : state_->found.plugins) {
    if (&known == &plugin) return load_into(*state_, known);
  }
  return false;
}

const std::vector<RefusedPlugin>& PluginRegistry::refused() const { return state_->found.refused; }

const std::vector<ShadowedLayerType>& PluginRegistry::shadowed() const {
  return state_->dispatch->shadowed();
}

std::vector<std::string> PluginRegistry::ties() const {
  std::vector<std::string> all = state_->methods->ties();
  for (std::string& tie : state_->dispatch->ties()) all.push_back(std::move(tie));
  return all;
}

const std::vector<PluginPlace>& PluginRegistry::places() const { return state_->places; }

}  // namespace tenon
