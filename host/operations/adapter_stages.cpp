#include "operations/adapter_stages.h"

#include <algorithm>

#include "adapter/adapter_folder.h"
#include "adapter/base_check.h"
#include "adapter/base_weights.h"
#include "adapter/idle_tensors.h"
#include "adapter/tied_tensors.h"
#include "adapter/twin_modules.h"
#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "config/adapter_name.h"
#include "model/running_statistics.h"
#include "plan/factor_keys.h"
#include "plan/merge_notes.h"
#include "plan/method_config.h"

// The steps between an adapted model and the folders of its adapters.
namespace tenon {
namespace {

template <typename T>
void compare(const AdapterConfig& config, const char* key, const T& own, const T& loaded,
             std::vector<std::string>& problems) {
  if (config.explicit_keys.contains(key) && own != loaded) problems.emplace_back(key);
}

// Whether a start that the config gives may be another than the adapter's: it no longer matters,
// unless one of them changed the base.
bool is_past(const DeclaredOption& key, const Method& method, const OptionTable& own,
             const OptionTable& loaded) {
  if (key.of_start) return true;
  const Factors* factors = method.factors();
  return factors != nullptr && key.key == factors->keys().start &&
         !FactorKeys(method, own).changes_base() && !FactorKeys(method, loaded).changes_base();
}

// The keys of the method that the config gives otherwise than the adapter has them. What may be
// another, such as dropout, is taken over.
void compare_method_keys(const AdapterConfig& config, const MethodTable& methods,
                         AdapterConfig& loaded, std::vector<std::string>& differing) {
  const Method* method = methods.of(loaded);
  if (method == nullptr) return;  // told when it is planned
  std::vector<OptionProblem> ignored;
  const OptionTable own = method->settled(config.method_keys, false, ignored);
  const OptionTable saved = method->settled(loaded.method_keys, true, ignored);
  for (const auto& [name, value] : config.method_keys) {
    const auto key = std::ranges::find(method->keys(), name, &DeclaredOption::key);
    if (key == method->keys().end()) {
      differing.push_back(name);
    } else if (key->changeable) {
      loaded.method_keys[name] = value;
      const auto place = config.key_places.find(name);
      if (place != config.key_places.end()) loaded.key_places.insert(*place);
    } else if (!same_option(own.at(name), saved.at(name)) && !is_past(*key, *method, own, saved)) {
      differing.push_back(name);
    }
  }
}

// The tensors of a file go into the adapter; those of modules on which it does nothing are kept as
// they are.
void assign_files(AdapterFiles& files, const InjectionPlan& plan, AdapterInstance& placed,
                  const std::filesystem::path& folder) {
  for (AdapterTensor& tensor : take_idle_tensors(plan.idle, files)) {
    placed.kept.emplace_back(std::move(tensor.key), std::move(tensor.tensor));
  }
  assign_adapter(files, adapter_tensors(placed), folder);
}

// The adapter of a plan that needs data to start, planned anew by what they say.
std::unique_ptr<AdapterInstance> place_from_data(const ModelData& model, const InjectionPlan& plan,
                                                 const PluginRegistry& plugins,
                                                 const AddOptions& options, std::uint64_t seed,
                                                 std::vector<std::string>& notes) {
  const AdapterConfig& config = plan.config;
  if (!options.load_tensors) {
    notes.push_back(start_of(plan) +
                    ": how the adapter starts is worked out from the data by `tenon run`" +
                    (deals_ranks(plan) ? ", each layer's rank included" : ""));
    return place_adapter(model, plan, seed);
  }
  if (!options.data) {
    throw Error(
        {.stage = Stage::kConfig,
         .message = start_of(plan) + " needs batches of the training data, and there are none here",
         .hint = "start the adapter with `tenon run`, and go on from its folder (init_from)",
         .location = config.location});
  }
  DataStart start = start_from_data(model, plan, *options.data);
  notes.insert(notes.end(), start.notes.begin(), start.notes.end());
  return place_adapter(model, plan_injection(model, start.config, plugins), seed,
                       std::move(start.given));
}

// What init_from starts from; of a folder that is only looked at the tensors may be missing.
AdapterFiles load_start(const std::filesystem::path& folder, bool needs_tensors) {
  if (needs_tensors || std::filesystem::exists(folder / kTensorFile)) return load_adapter(folder);
  AdapterFiles start;
  start.layers = load_layer_records(folder);
  return start;
}

// The modules whose running statistics a training forward changes. They go into one adapter.
std::vector<std::string> statistics_to_train(const ModelData& model,
                                             const std::vector<AdapterConfig>& adapters) {
  const auto is_trained = [](const AdapterConfig& config) {
    return config.active && config.trainable;
  };
  std::vector<std::string> paths = modules_with_statistics(model);
  if (std::ranges::count(paths, "") > 0) {
    throw Error({.stage = Stage::kInjection,
                 .message =
                     "[train] batch_norm = \"train\" changes statistics that the model holds "
                     "itself, in no module of its own, so that no adapter can save them",
                 .hint = "leave batch_norm = \"frozen\""});
  }
  if (!paths.empty() && std::ranges::count_if(adapters, is_trained) > 1) {
    throw Error({.stage = Stage::kConfig,
                 .message = "[train] batch_norm = \"train\" changes the statistics of `" +
                            paths.front() +
                            "`, and several adapters are trained, so that it is not clear which "
                            "one's they are",
                 .hint = "train one adapter, or name the modules in modules_to_save of one"});
  }
  return paths;
}

}  // namespace

bool needs_data(const AdapterConfig& config, const MethodTable& methods) {
  if (config.init_from) return false;
  const MethodConfig known = with_method(config, methods);
  return (known.method->data_needs(known.config.method_keys) & TENON_NEEDS_DATA) != 0;
}

AdapterConfig effective_adapter_config(const AdapterConfig& config, const MethodTable& methods) {
  if (!config.init_from) return config;
  AdapterConfig loaded = load_adapter_config(*config.init_from);
  std::vector<std::string> differing;
  compare(config, "bias", config.bias, loaded.bias, differing);
  compare(config, "trainable_token_indices", config.trainable_tokens, loaded.trainable_tokens,
          differing);
  compare(config, "ensure_weight_tying", config.ensure_weight_tying, loaded.ensure_weight_tying,
          differing);
  compare_method_keys(config, methods, loaded, differing);
  if (!differing.empty()) {
    throw Error({.stage = Stage::kConfig,
                 .message = "[adapter] " + join(differing) +
                            " differ from the adapter in init_from, " + config.init_from->string(),
                 .hint = "leave them out to take the adapter's own",
                 .location = config.location});
  }
  if (config.explicit_keys.contains("target_modules") ||
      config.explicit_keys.contains("target_parameters")) {
    loaded.target_modules = config.target_modules;
    loaded.target_parameters = config.target_parameters;
  }
  if (config.explicit_keys.contains("exclude_modules"))
    loaded.exclude_modules = config.exclude_modules;
  if (config.explicit_keys.contains("modules_to_save"))
    loaded.modules_to_save = config.modules_to_save;
  for (const std::string& key : config.explicit_keys) loaded.optional_keys.erase(key);
  loaded.autocast_adapter_dtype = config.autocast_adapter_dtype;
  loaded.name = config.name;
  // PEFT's type is known, the method that a config names must be the one of that type.
  if (config.explicit_keys.contains("method")) loaded.method = config.method;
  loaded.option_places = config.option_places;
  loaded.options = config.options;
  loaded.allow_unmatched = config.allow_unmatched;
  loaded.skip_unsupported = config.skip_unsupported;
  loaded.init_from = config.init_from;
  loaded.location = config.location;
  return loaded;
}

std::unique_ptr<AdapterInstance> make_adapter(const AdaptedModel& model,
                                              const std::vector<AdapterConfig>& adapters,
                                              std::size_t number, const PluginRegistry& plugins,
                                              const AddOptions& options, BaseCheck& base,
                                              std::vector<std::string>& notes) {
  const AdapterConfig& given = adapters[number];
  AdapterConfig config = effective_adapter_config(given, plugins.methods());
  AdapterFiles start;
  if (config.init_from) {
    start = load_start(*config.init_from, options.load_tensors);
    note_ties(start, plugins.methods());
    config.saved_ties = start.config.saved_ties;
    leave_out_twins(model.model(), start);
    config.not_saved = start.config.not_saved;
  }
  if (options.train_statistics && given.active && given.trainable) {
    config.statistics_of = statistics_to_train(model.model(), adapters);
  }
  const std::uint64_t seed = options.seed + number;
  const InjectionPlan plan = plan_injection(model.model(), config, plugins, start.layers);
  notes.insert(notes.end(), plan.notes.begin(), plan.notes.end());
  for (std::string& note : merge_notes(model.model(), plan)) notes.push_back(std::move(note));
  auto placed = starts_from_data(plan)
                    ? place_from_data(model.model(), plan, plugins, options, seed, notes)
                    : place_adapter(model.model(), plan, seed);
  for (std::string& note : twin_notes(model.model(), *placed)) notes.push_back(std::move(note));
  if (config.init_from && options.load_tensors) {
    base.warn(start, *config.init_from);
    check_base_weights(start, model.base_tensors(), *config.init_from);
    assign_files(start, plan, *placed, *config.init_from);
  }
  return placed;
}

std::vector<std::string> add_adapters(AdaptedModel& model,
                                      const std::vector<AdapterConfig>& adapters,
                                      const PluginRegistry& plugins, const AddOptions& options) {
  std::vector<std::string> notes;
  std::vector<std::string> active;
  BaseCheck base(model);
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    model.add_adapter(make_adapter(model, adapters, i, plugins, options, base, notes));
    if (adapters[i].active) active.push_back(adapters[i].name);
  }
  model.set_active(active);
  for (const AdapterConfig& given : adapters) model.set_trainable(given.name, given.trainable);
  return notes;
}

std::vector<AdapterTensor> adapter_tensors(const AdapterInstance& adapter) {
  std::vector<AdapterTensor> tensors;
  for (const AddedTensor& added : adapter.tensors) {
    if (!added.is_saved) continue;
    const std::string& module = added.file_module.empty() ? added.module : added.file_module;
    tensors.push_back({added.key(), added.tensor, module});
  }
  return tensors;
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
                   .message = std::string("--adapter ").append(argument) + " is not [NAME=]DIR"});
    }
    if (const std::string problem = adapter_name_problem(named.name); !problem.empty()) {
      throw Error({.stage = Stage::kCommandLine,
                   .message = std::string("NAME in --adapter ").append(argument) + " " + problem});
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

std::unique_ptr<AdapterInstance> place_files(const AdaptedModel& model, AdapterFiles files,
                                             const std::filesystem::path& folder,
                                             const PluginRegistry& plugins, BaseCheck& base) {
  note_ties(files, plugins.methods());
  leave_out_twins(model.model(), files);
  base.warn(files, folder);
  check_base_weights(files, model.base_tensors(), folder);
  InjectionPlan plan = plan_injection(model.model(), files.config, plugins, files.layers);
  for (const std::string& note : plan.notes) log::warning(note);
  model.share_facts(plan);
  auto placed = place_saved_adapter(model.model(), plan);
  assign_files(files, plan, *placed, folder);
  return placed;
}

AdaptedModel with_adapters(ModelData data, const std::vector<NamedFolder>& adapters,
                           const PluginRegistry& plugins) {
  AdaptedModel model(std::move(data));
  BaseCheck base(model);
  for (const auto& [name, folder] : adapters) {
    AdapterFiles files = load_adapter(folder);
    files.config.name = name;
    model.add_adapter(place_files(model, std::move(files), folder, plugins, base));
  }
  return model;
}

}  // namespace tenon
