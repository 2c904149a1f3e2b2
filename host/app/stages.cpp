#include "app/stages.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <sstream>

#include "adapter/fingerprint.h"
#include "base/error.h"
#include "base/suggest.h"
#include "config/lora_init.h"

namespace tenon {
namespace {

template <typename T>
void compare(const AdapterConfig& config, const char* key, const T& own, const T& loaded,
             std::vector<std::string>& problems) {
  if (config.given.contains(key) && own != loaded) problems.emplace_back(key);
}

std::size_t depth_of(const std::string& path) {
  if (path.empty()) return 0;
  return static_cast<std::size_t>(std::count(path.begin(), path.end(), '.')) + 1;
}

}  // namespace

AdapterConfig effective_adapter_config(const AdapterConfig& config) {
  if (!config.init_from) return config;
  AdapterConfig loaded = load_adapter_config(*config.init_from);
  std::vector<std::string> differing;
  compare(config, "r", config.r, loaded.r, differing);
  compare(config, "lora_alpha", config.lora_alpha, loaded.lora_alpha, differing);
  compare(config, "use_rslora", config.use_rslora, loaded.use_rslora, differing);
  compare(config, "use_dora", config.use_dora, loaded.use_dora, differing);
  compare(config, "lora_bias", config.lora_bias, loaded.lora_bias, differing);
  // Other starts no longer matter.
  if (changes_base(config.init_lora_weights) || changes_base(loaded.init_lora_weights)) {
    compare(config, "init_lora_weights", config.init_lora_weights, loaded.init_lora_weights,
            differing);
  }
  compare(config, "rank_pattern", config.rank_pattern, loaded.rank_pattern, differing);
  compare(config, "alpha_pattern", config.alpha_pattern, loaded.alpha_pattern, differing);
  for (const auto& [key, value] : config.method_keys) {
    const auto own = loaded.method_keys.find(key);
    if (own == loaded.method_keys.end() || own->second != value) differing.push_back(key);
  }
  if (!differing.empty()) {
    throw Error({.stage = Stage::kConfig,
                 .message = "[adapter] " + join(differing) +
                            " differ from the adapter in init_from, " + config.init_from->string(),
                 .hint = "leave them out to take the adapter's own",
                 .location = config.location});
  }
  if (config.given.contains("target_modules")) loaded.target_modules = config.target_modules;
  if (config.given.contains("exclude_modules")) loaded.exclude_modules = config.exclude_modules;
  if (config.given.contains("modules_to_save")) loaded.modules_to_save = config.modules_to_save;
  for (const std::string& key : config.given) loaded.lenient_keys.erase(key);
  if (config.given.contains("lora_dropout")) loaded.lora_dropout = config.lora_dropout;
  loaded.name = config.name;
  // PEFT's type is known, the method that a config names must be the one of that type.
  if (config.given.contains("method")) loaded.method = config.method;
  loaded.option_places = config.option_places;
  loaded.options = config.options;
  loaded.allow_unmatched = config.allow_unmatched;
  loaded.skip_unsupported = config.skip_unsupported;
  loaded.init_from = config.init_from;
  loaded.location = config.location;
  return loaded;
}

std::string adapted_tree(const AdaptedModel& model) {
  std::ostringstream text;
  const std::vector<std::string> names = model.adapter_names();
  for (const Module& module : model.model().tree.modules) {
    const std::string indent(2 * depth_of(module.path), ' ');
    text << indent << (module.path.empty() ? "(root)" : module.path) << ": ";
    bool is_adapted = false;
    for (const std::string& name : names) {
      const PlacedAdapter& adapter = model.adapter(name);
      const std::string which = names.size() == 1 ? "" : "  [" + name + "]";
      const auto layer = std::ranges::find(adapter.layers, module.path, [](const auto& planned) {
        return planned.facts->description().module_path;
      });
      if (layer == adapter.layers.end()) continue;
      if (!is_adapted) {
        text << layer->layer_type->title() << "\n"
             << indent << "  base_layer: " << module.type << "\n";
      }
      is_adapted = true;
      for (const AddedTensor& added : adapter.tensors) {
        if (added.module != module.path) continue;
        text << indent << "  " << added.name << " " << c10::str(added.tensor.sizes()) << which
             << "\n";
      }
    }
    if (is_adapted) continue;
    text << (module.type.empty() ? "(runs no operator)" : module.type);
    for (const std::string& name : names) {
      if (std::ranges::count(model.adapter(name).saved, module.path) == 0) continue;
      text << "  (saved whole, trained)" << (names.size() == 1 ? "" : "  [" + name + "]");
    }
    text << "\n";
  }
  return text.str();
}

}  // namespace tenon
