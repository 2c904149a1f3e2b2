#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "adapter/option_json.h"
#include "app/commands.h"
#include "app/gpu_report.h"
#include "app/plugin_pages.h"
#include "app/stages.h"
#include "base/error.h"
#include "base/suggest.h"
#include "capture/plugin_model.h"
#include "config/toml_reader.h"
#include "graph/tensor_names.h"
#include "model/model_loader.h"
#include "plugin/plugin_registry.h"
#include "pt2/pt2_program.h"
#include "ranks/join.h"
#include "ranks/launch.h"

// The verbs that look and change nothing: tree, plugins, doctor.
namespace tenon {
namespace {

using Json = nlohmann::ordered_json;

PluginsConfig plugins_config(const CommandLine& line) {
  if (line.target.empty()) return {};
  return read_run_config(line.target, line.overrides, {}).plugins;
}

// By the path of the module that holds them itself.
std::unordered_map<std::string, std::int64_t> own_parameters(const ModelData& model) {
  std::unordered_map<std::string, std::int64_t> counts;
  for (const ModelTensor& tensor : model.tensors) {
    if (tensor.kind != ValueKind::kParameter) continue;
    counts[std::string(parent_path(tensor.name))] += tensor.tensor.numel();
  }
  return counts;
}

Json options_json(const std::vector<DeclaredOption>& options) {
  Json list = Json::array();
  for (const DeclaredOption& option : options) {
    list.push_back({{"key", option.key},
                    {"type", option.type_text()},
                    {"default", option_to_json(option.initial)},
                    {"required", option.required},
                    {"help", option.help}});
  }
  return list;
}

Json methods_json(const PluginInfo& plugin) {
  Json list = Json::array();
  for (const OfferedMethod& method : plugin.offer.methods) {
    list.push_back({{"name", method.name},
                    {"peft_type", method.is_in_peft ? Json(method.peft_type) : Json(nullptr)}});
  }
  for (std::size_t i = 0; i < plugin.methods.size(); ++i) {  // it is loaded
    const Method& method = plugin.methods[i];
    list[i]["doc"] = method.doc();
    list[i]["max_active"] = method.max_active();
    list[i]["keys"] = options_json(method.keys());
  }
  return list;
}

Json layer_types_json(const PluginInfo& plugin) {
  Json list = Json::array();
  for (const OfferedLayerType& type : plugin.offer.layer_types) {
    list.push_back({{"id", type.id},
                    {"method", type.method},
                    {"types", type.base_types},
                    {"priority", type.priority},
                    {"options", nullptr}});
  }
  for (std::size_t i = 0; i < plugin.layer_types.size(); ++i) {  // it is loaded
    list[i]["options"] = options_json(plugin.layer_types[i].options());
  }
  return list;
}

// Losses or metrics; nothing where their plugin was not loaded, which tells them.
template <typename T>
Json objectives_json(const PluginInfo& plugin, const std::vector<T>& objectives) {
  if (!plugin.is_loaded && plugin.has_objectives) return nullptr;
  Json list = Json::array();
  for (const T& each : objectives) {
    list.push_back(
        {{"name", each.name()}, {"doc", each.doc()}, {"options", options_json(each.options())}});
  }
  return list;
}

Json plugins_json(const PluginRegistry& plugins) {
  Json out{{"plugins", Json::array()}, {"refused", Json::array()}, {"shadowed", Json::array()}};
  out["ties"] = plugins.ties();
  for (const PluginInfo* plugin : plugins.plugins()) {
    out["plugins"].push_back({{"id", plugin->id},
                              {"version", plugin->version},
                              {"vendor", plugin->offer.vendor},
                              {"license", plugin->offer.license},
                              {"path", plugin->path.string()},
                              {"origin", plugin->origin},
                              {"sha256", plugin->sha256},
                              {"loaded", plugin->is_loaded},
                              {"layer_types", layer_types_json(*plugin)},
                              {"methods", methods_json(*plugin)},
                              {"losses", objectives_json(*plugin, plugin->losses)},
                              {"metrics", objectives_json(*plugin, plugin->metrics)}});
  }
  for (const RefusedPlugin& refused : plugins.refused()) {
    out["refused"].push_back(
        {{"path", refused.path.string()}, {"rule", refused.rule}, {"reason", refused.reason}});
  }
  for (const ShadowedLayerType& shadowed : plugins.shadowed()) {
    out["shadowed"].push_back({{"method", shadowed.method},
                               {"type", shadowed.type},
                               {"id", shadowed.id},
                               {"path", shadowed.path.string()},
                               {"winner", shadowed.winner},
                               {"winner_path", shadowed.winner_path.string()}});
  }
  return out;
}

void print_plugins_text(const PluginRegistry& plugins) {
  for (const PluginInfo* plugin : plugins.plugins()) {
    std::cout << plugin->id << " " << plugin->version << "  [" << plugin->origin << "]  "
              << plugin->path.string() << "\n";
    for (std::size_t i = 0; i < plugin->offer.layer_types.size(); ++i) {
      const OfferedLayerType& type = plugin->offer.layer_types[i];
      std::cout << "  " << type.method << " on " << join(type.base_types) << "  (" << type.id
                << ")  " << (plugin->is_loaded ? plugin->layer_types[i].doc() : "") << "\n";
    }
    for (const PluginLoss& loss : plugin->losses) {
      std::cout << "  loss " << loss.name() << "  " << loss.doc() << "\n";
    }
    for (const PluginMetric& metric : plugin->metrics) {
      std::cout << "  metric " << metric.name() << "  " << metric.doc() << "\n";
    }
  }
  for (const RefusedPlugin& refused : plugins.refused()) {
    std::cout << "refused  " << refused.path.string() << ": " << refused.reason << "\n";
  }
  for (const std::string& tie : plugins.ties()) std::cout << "tie  " << tie << "\n";
  if (plugins.plugins().empty() && plugins.refused().empty()) std::cout << "no plugin was found\n";
  std::cout << "searched, first wins:\n";
  for (const PluginPlace& place : plugins.places()) {
    std::cout << "  " << place.path.string() << "  [" << place.origin << "]"
              << (std::filesystem::is_directory(place.path) ? "" : "  (does not exist)") << "\n";
  }
}

// Of plugins that came with this program more is told than their files say; those of others run
// only where they are asked to.
void load_to_tell(const PluginRegistry& plugins, bool all) {
  for (const PluginInfo* plugin : plugins.plugins()) {
    if (all || plugin->origin == kBuiltInOrigin) plugins.load(*plugin);
  }
}

// What would surprise a user later, each with the next step.
std::vector<std::string> find_faults(const PluginRegistry& plugins) {
  std::vector<std::string> faults;
  const auto is_built_in = [](const PluginInfo* plugin) {
    return plugin->origin == kBuiltInOrigin;
  };
  if (std::ranges::none_of(plugins.plugins(), is_built_in)) {
    faults.push_back("the plugins that come with tenon are not in " +
                     plugins.places().back().path.string() + "; install tenon again");
  }
  for (const RefusedPlugin& refused : plugins.refused()) {
    faults.push_back("a plugin is refused: " + refused.path.string() + ": " + refused.reason);
  }
  for (const PluginPlace& place : plugins.places()) {
    if (place.origin == "TENON_PLUGIN_PATH" && !std::filesystem::is_directory(place.path)) {
      faults.push_back("TENON_PLUGIN_PATH names " + place.path.string() +
                       ", which is not a folder; make it or take it out");
    }
  }
  return faults;
}

// Whether several processes can share a run, and what started this one, if anything did.
Json processes_json() {
  Json json = {{"exchange", can_join_ranks() ? Json("gloo") : Json(nullptr)},
               {"launcher", nullptr}};
  if (const auto launch = read_launch(environment())) {
    json["launcher"] = launch->launcher;
    json["rank"] = launch->rank;
    json["count"] = launch->count;
    json["store"] = launch->address + ":" + std::to_string(launch->port);
  }
  return json;
}

std::string processes_text() {
  std::string text = can_join_ranks() ? "several can share a run, by gloo"
                                      : "one alone: tenon was built without gloo's headers "
                                        "(Debian: libgloo-dev)";
  if (const auto launch = read_launch(environment())) {
    text += "; started by " + launch->launcher + " as rank " + std::to_string(launch->rank) +
            " of " + std::to_string(launch->count);
  }
  return text;
}

// What a tree is asked of: the model of a config, or an exported program alone.
ModelData model_of(const CommandLine& line) {
  if (line.target.extension() != ".toml") return read_pt2_program(line.target);
  const RunConfig config = read_run_config(line.target, line.overrides, {});
  if (!config.model.plugin) return load_model(config.model);
  return load_model(config.model, PluginRegistry(config.plugins, line.plugin_directories));
}

}  // namespace

void tree_command(const CommandLine& line) {
  const ModelData model = model_of(line);
  Json out = Json::array();
  auto parameters = own_parameters(model);
  for (const Module& module : model.tree.modules) {
    if (line.json) {
      out.push_back({{"name", module.path},
                     {"type", module.type.empty() ? Json(nullptr) : Json(module.type)},
                     {"parameters", parameters[module.path]},
                     {"runs", module.runs}});
    } else {
      std::cout << "('" << module.path << "', "
                << (module.type.empty() ? "runs no operator" : module.type) << ")"
                << (module.runs || module.type.empty() ? "" : "  never runs") << "\n";
    }
  }
  if (line.json) std::cout << out.dump(2) << "\n";
}

void plugins_command(const CommandLine& line) {
  const PluginRegistry plugins(plugins_config(line), line.plugin_directories);
  load_to_tell(plugins, line.load);
  if (line.markdown) {
    std::cout << plugin_pages(plugins);
  } else if (line.json) {
    std::cout << plugins_json(plugins).dump(2) << "\n";
  } else {
    print_plugins_text(plugins);
  }
}

void doctor_command(const CommandLine& line) {
  const GpuFacts gpus = load_gpu_facts();  // before anything else of LibTorch
  const PluginRegistry plugins(plugins_config(line), line.plugin_directories);
  load_to_tell(plugins, line.load);
  const std::vector<std::string> faults = find_faults(plugins);
  if (line.json) {
    const Json out{{"tenon", TENON_VERSION},           {"libtorch", TORCH_VERSION},
                   {"threads", at::get_num_threads()}, {"cpu_capability", at::get_cpu_capability()},
                   {"gpus", gpus_json(gpus)},          {"processes", processes_json()},
                   {"plugins", plugins_json(plugins)}, {"problems", faults}};
    std::cout << out.dump(2) << "\n";
    return;
  }
  std::cout << "tenon " << TENON_VERSION << "\nLibTorch " << TORCH_VERSION << "\nthreads "
            << at::get_num_threads() << "\ninstruction set " << at::get_cpu_capability()
            << "\nGPUs " << gpus_text(gpus) << "\nprocesses " << processes_text() << "\n";
  print_plugins_text(plugins);
  if (faults.empty()) std::cout << "no problem was found\n";
  for (const std::string& fault : faults) std::cout << "problem: " << fault << "\n";
}

}  // namespace tenon
