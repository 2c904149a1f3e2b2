#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <unordered_set>

#include "adapted/adapted_model.h"
#include "app/adapter_config_problems.h"
#include "app/commands.h"
#include "app/load_base.h"
#include "app/memory_estimate.h"
#include "app/stages.h"
#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "config/toml_reader.h"
#include "model/export_notes.h"
#include "objectives/tensor_text.h"
#include "plugin/plugin_registry.h"
#include "quantize/packed_tensor.h"

namespace tenon {
namespace {

using PlanJson = nlohmann::ordered_json;

PlanJson plan_json(const AdaptedModel& model, const std::vector<std::string>& notes) {
  const ParameterCount count = count_parameters(model);
  PlanJson out{{"targeted_module_names", PlanJson::array()},
               {"modules_to_save", PlanJson::array()},
               {"trainable_params", count.trainable},
               {"all_params", count.all},
               {"layers", PlanJson::array()},
               {"notes", notes}};
  std::unordered_set<std::string> targeted;
  std::unordered_set<std::string> saved;
  for (const std::string& name : model.adapter_names()) {
    const AdapterInstance& adapter = model.adapter(name);
    for (const std::string& path : adapter.saved) {
      if (saved.insert(path).second) out["modules_to_save"].push_back(path);
    }
    TensorsByModule tensors = tensors_by_module(adapter);
    for (const PlannedLayer& layer : adapter.layers) {
      const LayerFacts::Description& facts = layer.facts->description();
      // Rows of an embedding beside the method are no target of it.
      if (layer.layer_type->method() == adapter.config.method &&
          targeted.insert(facts.module_path).second) {
        out["targeted_module_names"].push_back(facts.module_path);
      }
      PlanJson parameters = PlanJson::array();
      for (const AddedTensor* added : tensors[facts.module_path]) {
        parameters.push_back({{"name", added->name},
                              {"shape", added->tensor.sizes().vec()},
                              {"dtype", dtype_text(added->tensor.scalar_type())},
                              {"trainable", added->tensor.requires_grad()}});
      }
      out["layers"].push_back({{"name", facts.module_path},
                               {"type", facts.type},
                               {"adapter", name},
                               {"plugin", layer.layer_type->plugin().id},
                               {"parameters", parameters}});
    }
  }
  return out;
}

// How the base's weights are kept.
std::string format_of(const at::Tensor& tensor) {
  return is_packed(tensor) ? std::string(name_of(packed_view(tensor).weight->format()))
                           : dtype_text(tensor.scalar_type());
}

PlanJson weights_json(const AdaptedModel& model) {
  PlanJson weights = PlanJson::array();
  for (const ModelTensor& tensor : model.base_tensors()) {
    if (tensor.kind != ValueKind::kParameter) continue;
    weights.push_back({{"name", tensor.name},
                       {"shape", tensor.tensor.sizes().vec()},
                       {"format", format_of(tensor.tensor)},
                       {"bytes", stored_bytes(tensor.tensor)}});
  }
  return weights;
}

// "base: 14 weights in nf4, 12.1 MB; 9 in float32, 3.5 MB".
std::string weights_line(const AdaptedModel& model) {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> formats;  // how many, bytes
  for (const ModelTensor& tensor : model.base_tensors()) {
    if (tensor.kind != ValueKind::kParameter) continue;
    auto& [count, bytes] = formats[format_of(tensor.tensor)];
    ++count;
    bytes += stored_bytes(tensor.tensor);
  }
  std::vector<std::string> texts;
  for (const auto& [format, sum] : formats) {
    std::ostringstream text;
    text << sum.first << " weights in " << format << ", " << std::fixed << std::setprecision(1)
         << static_cast<double>(sum.second) / (1 << 20) << " MB";
    texts.push_back(text.str());
  }
  return "base: " + join(texts, "; ");
}

PlanJson memory_json(const MemoryEstimate& memory) {
  const auto megabytes = [](double bytes) { return bytes / (1 << 20); };
  return {{"total_mb", megabytes(memory.total())},
          {"base_mb", megabytes(memory.base)},
          {"adapters_mb", megabytes(memory.adapters)},
          {"gradients_mb", megabytes(memory.gradients)},
          {"moments_mb", megabytes(memory.moments)},
          {"activations_mb", megabytes(memory.activations)},
          {"others_mb", megabytes(memory.others)}};
}

}  // namespace

void plan_command(const CommandLine& line) {
  const RunConfig config =
      read_run_config(line.target, line.overrides, {.adapter = true}, problems_of_adapters(line));
  if (config.adapters.empty()) {
    throw Error({.stage = Stage::kConfig,
                 .message = "the config has no [adapter] to plan",
                 .location = line.target.string()});
  }
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  AdaptedModel model(load_base_to_look(config, plugins));
  std::vector<std::string> notes = export_notes(model.model());
  const std::vector<std::string> more =
      add_adapters(model, config.adapters, plugins, {.seed = 0, .load_tensors = false});
  notes.insert(notes.end(), more.begin(), more.end());
  std::string why;
  const std::optional<MemoryEstimate> memory = estimate_memory(line, model, plugins, why);
  if (!memory) log::debug("no estimate of the memory: " + why);
  if (line.json) {
    PlanJson out = plan_json(model, notes);
    out["weights"] = weights_json(model);
    out["memory"] = memory ? memory_json(*memory) : PlanJson(nullptr);
    std::cout << out.dump(2) << "\n";
    return;
  }
  std::cout << adapted_tree(model);
  for (const std::string& note : notes) std::cout << "note: " << note << "\n";
  if (config.model.quantize != "none") std::cout << weights_line(model) << "\n";
  if (memory) std::cout << memory_text(*memory) << "\n";
  std::vector<std::string> targeted;
  for (const std::string& name : model.adapter_names()) {
    for (const PlannedLayer& layer : model.adapter(name).layers) {
      const std::string& path = layer.facts->description().module_path;
      if (std::ranges::count(targeted, path) == 0) targeted.push_back(path);
    }
  }
  std::cout << "targeted modules: " << join(targeted) << "\n"
            << trainable_line(count_parameters(model)) << "\n";
}

}  // namespace tenon
