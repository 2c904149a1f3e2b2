#include "adapted/adapter_status.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "adapted/parameter_count.h"
#include "app/commands.h"
#include "app/load_base.h"
#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "config/toml_reader.h"
#include "operations/adapter_stages.h"

// `tenon adapter status`: what is on each layer of a model (PEFT: get_layer_status).
namespace tenon {
namespace {

using Json = nlohmann::ordered_json;

// The adapters of the command line, or else those of the config, of whose tensors nothing is read.
AdaptedModel adapted_model(const CommandLine& line, const RunConfig& config,
                           const PluginRegistry& plugins) {
  ModelData data = load_base(config, plugins);
  if (line.adapters.empty()) {
    if (config.adapters.empty()) {
      throw Error({.stage = Stage::kConfig,
                   .message = "there is no adapter to tell of",
                   .hint = "give --adapter [NAME=]DIR, or an [adapter] in the config",
                   .location = line.target.string()});
    }
    AdaptedModel model(std::move(data));
    for (const std::string& note :
         add_adapters(model, config.adapters, plugins, {.load_tensors = false})) {
      log::warning(note);
    }
    if (!line.active.empty()) model.set_active(line.active);
    return model;
  }
  AdaptedModel model = with_adapters(std::move(data), named_folders(line.adapters), plugins);
  model.set_active(line.active.empty() ? model.adapter_names() : line.active,
                   /*trainable=*/false);
  return model;
}

Json trained_json(Trained trained) {
  if (trained == Trained::kSome) return "irregular";  // PEFT's word
  return trained == Trained::kAll;
}

Json trained_json(const std::map<std::string, Trained>& adapters) {
  Json out = Json::object();
  for (const auto& [name, trained] : adapters) out[name] = trained_json(trained);
  return out;
}

Json status_json(const ModelStatus& status) {
  Json layers = Json::array();
  for (const LayerStatus& layer : status.layers) {
    layers.push_back({{"name", layer.name},
                      {"type", layer.type},
                      {"plugin", layer.plugin.empty() ? Json(nullptr) : Json(layer.plugin)},
                      {"enabled", layer.enabled},
                      {"active", layer.active},
                      {"merged", layer.merged},
                      {"available", layer.available},
                      {"trainable", trained_json(layer.trained)},
                      {"dtypes", layer.dtypes},
                      {"devices", layer.devices}});
  }
  return {{"base_type", status.base_type},
          {"peft_types", status.peft_types},
          {"trainable_params", status.trainable_params},
          {"all_params", status.total_params},
          {"adapted_layers", status.layers.size()},
          {"enabled", status.enabled},
          {"active", status.active},
          {"merged", status.merged},
          {"available", status.available},
          {"trainable", trained_json(status.trained)},
          {"layers", std::move(layers)}};
}

std::string or_none(const std::vector<std::string>& names) {
  return names.empty() ? "none" : join(names);
}

void print(const ModelStatus& status, const std::string& trainable_params) {
  for (const LayerStatus& layer : status.layers) {
    std::cout << layer.name << ": " << layer.type << "  ("
              << (layer.plugin.empty() ? "saved whole" : layer.plugin) << ")\n";
    for (const std::string& name : layer.available) {
      const auto is_in = [&](const std::vector<std::string>& names) {
        return std::ranges::count(names, name) > 0;
      };
      const Trained trained = layer.trained.at(name);
      std::cout << "  " << name << ": " << (is_in(layer.active) ? "active" : "not active")
                << (is_in(layer.merged) ? ", merged" : "")
                << (trained == Trained::kAll    ? ", trainable"
                    : trained == Trained::kSome ? ", trainable in part"
                                                : ", frozen")
                << ", " << join(layer.dtypes.at(name)) << ", " << join(layer.devices.at(name))
                << "\n";
    }
  }
  std::cout << "adapters: " << join(status.available) << "; active: " << or_none(status.active)
            << "; merged: " << or_none(status.merged)
            << "; adapted layers: " << status.layers.size() << "\n"
            << trainable_params << "\n";
}

}  // namespace

void adapter_status_command(const CommandLine& line) {
  const RunConfig config =
      read_run_config(line.target, line.overrides, {.adapter = line.adapters.empty()});
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  const AdaptedModel model = adapted_model(line, config, plugins);
  const ModelStatus status = status_of(model);
  if (line.json) {
    std::cout << status_json(status).dump(2) << "\n";
  } else {
    print(status, trainable_line(count_parameters(model)));
  }
}

}  // namespace tenon
