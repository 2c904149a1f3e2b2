#include <algorithm>

#include "adapter/fingerprint.h"
#include "app/stages.h"
#include "base/error.h"
#include "base/log.h"

// The steps between an adapted model and the folders of its adapters.
namespace tenon {

std::vector<std::string> add_adapters(AdaptedModel& model,
                                      const std::vector<AdapterConfig>& adapters,
                                      const PluginRegistry& plugins, const AddOptions& options) {
  std::vector<std::string> notes;
  std::vector<std::string> active;
  std::uint64_t seed = options.seed;
  for (const AdapterConfig& given : adapters) {
    const AdapterConfig config = effective_adapter_config(given);
    AdapterFiles start;
    if (config.init_from && options.load_tensors) start = load_adapter(*config.init_from);
    if (config.init_from && !options.load_tensors) {
      start.layers = load_layer_records(*config.init_from);
    }
    const InjectionPlan plan = plan_injection(model.model(), config, plugins, start.layers);
    notes.insert(notes.end(), plan.notes.begin(), plan.notes.end());
    auto placed = place_adapter(model.model(), plan, seed++);
    if (config.init_from && options.load_tensors) {
      assign_adapter(start, adapter_tensors(*placed), *config.init_from);
    }
    model.add_adapter(std::move(placed));
    if (given.active) active.push_back(given.name);
  }
  model.set_active(active);
  for (const AdapterConfig& given : adapters) model.set_trainable(given.name, given.trainable);
  return notes;
}

std::vector<AdapterTensor> adapter_tensors(const PlacedAdapter& adapter) {
  std::vector<AdapterTensor> tensors;
  for (const AddedTensor& added : adapter.tensors) tensors.push_back({added.key(), added.tensor});
  return tensors;
}

AdapterFiles adapter_files(const AdaptedModel& model, const PlacedAdapter& adapter) {
  AdapterFiles files;
  files.config = adapter.config;
  const std::string& root = model.model().tree.modules.front().type;
  const std::size_t dot = root.rfind('.');
  files.base_model_class = dot == std::string::npos ? root : root.substr(dot + 1);
  files.parent_library = dot == std::string::npos ? "__main__" : root.substr(0, dot);
  for (const AdapterTensor& tensor : adapter_tensors(adapter)) {
    files.tensors.push_back({tensor.key, tensor.tensor.detach()});
  }
  files.has_tenon_json = true;
  files.base_fingerprint = base_fingerprint(model.base_tensors());
  for (const PlannedLayer& layer : adapter.layers) {
    const LayerFacts::Description& facts = layer.facts->description();
    const PluginInfo& plugin = layer.layer_type->plugin();
    files.layers.push_back({facts.module_path, facts.type, plugin.id, plugin.version, plugin.sha256,
                            layer.own_options});
  }
  return files;
}

void save_adapters(const AdaptedModel& model, const std::filesystem::path& folder, bool force) {
  check_output_folder(folder, force);
  const std::vector<std::string> names = model.adapter_names();
  for (const std::string& name : names) {
    if (name == kDefaultAdapter) continue;
    save_adapter(folder / name, adapter_files(model, model.adapter(name)), force);
  }
  if (std::ranges::count(names, kDefaultAdapter) == 0) return;
  save_adapter(folder, adapter_files(model, model.adapter(kDefaultAdapter)),
               force || names.size() > 1);
}

std::vector<NamedFolder> named_folders(const std::vector<std::string>& arguments) {
  std::vector<NamedFolder> folders;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    NamedFolder named{kDefaultAdapter, argument};
    if (equals != std::string::npos) {
      named = {argument.substr(0, equals), argument.substr(equals + 1)};
    }
    if (named.name.empty() || named.folder.empty()) {
      throw Error({.stage = Stage::kCommandLine,
                   .message = "--adapter " + argument + " is not [NAME=]DIR"});
    }
    const auto same =
        std::ranges::find(folders, named.name, [](const NamedFolder& f) { return f.name; });
    if (same != folders.end()) {
      throw Error({.stage = Stage::kCommandLine,
                   .message = "two adapters are named " + named.name + ": " +
                              same->folder.string() + " and " + named.folder.string(),
                   .hint = "give each a name: --adapter NAME=DIR"});
    }
    folders.push_back(std::move(named));
  }
  return folders;
}

AdaptedModel with_adapters(ModelData data, const std::vector<NamedFolder>& adapters,
                           const PluginRegistry& plugins) {
  AdaptedModel model(std::move(data));
  std::vector<std::string> names;
  std::string fingerprint;
  for (const auto& [name, folder] : adapters) {
    AdapterFiles files = load_adapter(folder);
    files.config.name = name;
    if (!files.base_fingerprint.empty()) {
      if (fingerprint.empty()) fingerprint = base_fingerprint(model.base_tensors());
      if (files.base_fingerprint != fingerprint) {
        log::warning("the adapter in " + folder.string() +
                     " was trained on a base with other weights than this model's");
      }
    }
    const InjectionPlan plan = plan_injection(model.model(), files.config, plugins, files.layers);
    for (const std::string& note : plan.notes) log::warning(note);
    auto placed = place_adapter(model.model(), plan, 0);
    assign_adapter(files, adapter_tensors(*placed), folder);
    model.add_adapter(std::move(placed));
    names.push_back(name);
  }
  return model;
}

}  // namespace tenon
