// What an AdaptedModule does with its set of adapters.
#include <algorithm>
#include <cmath>

#include "adapted/adapter_status.h"
#include "adapted/parameter_count.h"
#include "adapter/broken_tensors.h"
#include "base/log.h"
#include "base/suggest.h"
#include "config/adapter_name.h"
#include "library/adapted_state.h"
#include "library/guarded.h"
#include "operations/adapter_stages.h"
#include "operations/combine_adapters.h"

namespace tenon {
namespace {

std::string checked_name(const std::string& name) {
  if (const std::string problem = adapter_name_problem(name); !problem.empty()) {
    throw Error({.stage = Stage::kConfig, .message = "the adapter's name " + problem});
  }
  return name;
}

// The base's own weights are not the base's then.
void require_own_weights(const AdaptedState& state) {
  if (state.originals.empty()) return;
  throw Error({.stage = Stage::kInjection,
               .message = "the set of adapters cannot be changed while it is merged into the model",
               .hint = "call unmerge_from_model first"});
}

// Told before a folder is read.
void require_new(const AdaptedModel& model, const std::string& name) {
  if (std::ranges::count(model.adapter_names(), name) == 0) return;
  throw Error({.stage = Stage::kInjection,
               .message = "Adapter with name '" + name + "' already exists.",
               .hint = "give it another name, or swap it"});
}

// Reading takes longest, and nothing waits for it.
AdapterFiles read_files(const std::string& name, const std::filesystem::path& folder) {
  AdapterFiles files = load_adapter(folder);
  files.config.name = checked_name(name);
  return files;
}

// A prepared one is neither trained nor a part of anything.
std::unique_ptr<AdapterInstance> place(const AdaptedState& state, AdapterFiles files,
                                       const std::filesystem::path& folder, BaseCheck& base) {
  const c10::InferenceMode normal(false);
  return place_files(state.model, std::move(files), folder, state.plugins, base);
}

std::vector<std::pair<std::string, at::Tensor>> named(const AdapterInstance& adapter) {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const AddedTensor& added : adapter.tensors) {
    if (added.trainable) tensors.emplace_back(added.key(), added.tensor);
  }
  return tensors;
}

}  // namespace

void AdaptedModule::add(const std::string& name, const Config& config,
                        const StartOptions& options) {
  guarded(Stage::kInjection, "add the adapter", [&] {
    RunConfig run = read_adapter_config(config);
    if (run.adapters.size() != 1) {
      throw Error({.stage = Stage::kConfig,
                   .message = "add() takes a config of one adapter, not of " +
                              std::to_string(run.adapters.size()),
                   .location = run.file.string()});
    }
    run.adapters[0].name = checked_name(name);
    const std::scoped_lock lock(state_->changes);
    require_own_weights(*state_);
    require_new(state_->model, name);
    std::vector<std::string> notes = state_->notes;
    auto adapter = make_adapter(*state_, run.adapters[0], options, notes);
    state_->model.add_adapter(std::move(adapter));
    state_->notes = std::move(notes);
  });
}

void AdaptedModule::load(const std::string& name, const std::filesystem::path& folder) {
  guarded(Stage::kAdapter, "load the adapter", [&] {
    AdapterFiles files = read_files(name, folder);
    const std::scoped_lock lock(state_->changes);
    require_own_weights(*state_);
    require_new(state_->model, name);
    state_->model.add_adapter(place(*state_, std::move(files), folder, state_->base));
  });
}

void AdaptedModule::remove(const std::string& name) {
  guarded(Stage::kInjection, "remove the adapter", [&] {
    const std::scoped_lock lock(state_->changes);
    require_own_weights(*state_);
    state_->model.delete_adapter(name);
  });
}

void AdaptedModule::activate(const std::vector<std::string>& names, bool trainable) {
  guarded(Stage::kInjection, "activate the adapters", [&] {
    const std::scoped_lock lock(state_->changes);
    require_own_weights(*state_);
    state_->model.set_active(names, trainable);
  });
}

std::vector<std::string> AdaptedModule::active() const {
  return guarded(Stage::kInternal, "list the adapters", [&] {
    const std::scoped_lock lock(state_->changes);
    return state_->model.active();
  });
}

std::vector<std::string> AdaptedModule::names() const {
  return guarded(Stage::kInternal, "list the adapters", [&] {
    const std::scoped_lock lock(state_->changes);
    return state_->model.adapter_names();
  });
}

void AdaptedModule::freeze(const std::string& name) {
  guarded(Stage::kInjection, "freeze the adapter", [&] {
    const std::scoped_lock lock(state_->changes);
    state_->model.set_trainable(name, false);
  });
}

void AdaptedModule::train_only(const std::vector<std::string>& names) {
  guarded(Stage::kInjection, "choose what is trained", [&] {
    const std::scoped_lock lock(state_->changes);
    const std::vector<std::string>& active = state_->model.active();
    for (const std::string& name : names) {
      state_->model.adapter(name);  // told where it is not there
      if (std::ranges::count(active, name) > 0) continue;
      throw Error(
          {.stage = Stage::kInjection,
           .message = "the adapter " + name + " is not active, so no gradient would reach it",
           .hint = "activate it"});
    }
    for (const std::string& name : state_->model.adapter_names()) {
      state_->model.set_trainable(name, std::ranges::count(names, name) > 0);
    }
  });
}

void AdaptedModule::rescale(const std::string& name, double factor) {
  guarded(Stage::kInjection, "rescale the adapter", [&] {
    if (!std::isfinite(factor)) {
      throw Error({.stage = Stage::kInjection,
                   .message = "the factor for the adapter " + name + " is not a finite number"});
    }
    const std::scoped_lock lock(state_->changes);
    require_own_weights(*state_);
    state_->model.rescale(name, factor);
  });
}

PreparedAdapter AdaptedModule::prepare(const std::string& name,
                                       const std::filesystem::path& folder) const {
  return guarded(Stage::kAdapter, "prepare the adapter", [&] {
    AdapterFiles files = read_files(name, folder);
    const std::scoped_lock lock(state_->changes);
    require_own_weights(*state_);
    auto prepared = std::make_shared<PreparedState>();
    prepared->model = state_;
    prepared->adapter = place(*state_, std::move(files), folder, state_->base);
    return PreparedAdapter(std::move(prepared));
  });
}

void AdaptedModule::swap(PreparedAdapter& prepared) {
  guarded(Stage::kAdapter, "swap the adapter", [&] {
    if (prepared.state_->model != state_) {
      throw Error({.stage = Stage::kAdapter,
                   .message = "the adapter was prepared for another model",
                   .hint = "call prepare() of the model that it goes on"});
    }
    const std::scoped_lock lock(state_->changes);
    require_own_weights(*state_);
    state_->model.exchange_adapter(prepared.state_->adapter);
  });
}

void AdaptedModule::swap(const std::string& name, const std::filesystem::path& folder) {
  PreparedAdapter prepared = prepare(name, folder);
  swap(prepared);
}

void AdaptedModule::combine(const std::string& name, const std::vector<std::string>& adapters,
                            const CombineOptions& options) {
  guarded(Stage::kAdapter, "combine the adapters", [&] {
    checked_name(name);
    const std::scoped_lock lock(state_->changes);
    require_own_weights(*state_);
    require_new(state_->model, name);
    if (options.weights.size() != adapters.size()) {
      throw Error({.stage = Stage::kAdapter,
                   .message = "CombineOptions has " + std::to_string(options.weights.size()) +
                              " weights for " + std::to_string(adapters.size()) + " adapters",
                   .hint = "give one for each"});
    }
    const at::NoGradGuard no_grad;
    std::vector<AdapterFiles> files;
    for (const std::string& each : adapters) {
      files.push_back(adapter_files(state_->model, state_->model.adapter(each)));
    }
    AdapterFiles combined = combine_adapters(files, state_->plugins.methods(), options);
    combined.config.name = name;
    combined.base_fingerprint.clear();  // it is this one's
    state_->model.add_adapter(place(*state_, std::move(combined), name, state_->base));
  });
}

std::vector<at::Tensor> AdaptedModule::parameters() const {
  return guarded(Stage::kInternal, "list the parameters", [&] {
    const std::scoped_lock lock(state_->changes);
    return state_->model.trainable();
  });
}

std::vector<at::Tensor> AdaptedModule::parameters(const std::string& name) const {
  std::vector<at::Tensor> tensors;
  for (auto& [key, tensor] : named_parameters(name)) tensors.push_back(std::move(tensor));
  return tensors;
}

std::vector<std::pair<std::string, at::Tensor>> AdaptedModule::named_parameters() const {
  return guarded(Stage::kInternal, "list the parameters", [&] {
    const std::scoped_lock lock(state_->changes);
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for (const std::string& name : state_->model.active()) {
      for (auto& each : named(state_->model.adapter(name))) tensors.push_back(std::move(each));
    }
    return tensors;
  });
}

std::vector<std::pair<std::string, at::Tensor>> AdaptedModule::named_parameters(
    const std::string& name) const {
  return guarded(Stage::kInjection, "list the parameters", [&] {
    const std::scoped_lock lock(state_->changes);
    return named(state_->model.adapter(name));
  });
}

std::vector<std::string> AdaptedModule::targeted_module_names() const {
  return guarded(Stage::kInternal, "list the layers", [&] {
    const std::scoped_lock lock(state_->changes);
    std::vector<std::string> names;
    for (const std::string& adapter : state_->model.adapter_names()) {
      for (const PlannedLayer& layer : state_->model.adapter(adapter).layers) {
        names.push_back(layer.facts->description().module_path);
      }
    }
    return names;
  });
}

ModelStatus AdaptedModule::status() const {
  return guarded(Stage::kInternal, "tell the status", [&] {
    const std::scoped_lock lock(state_->changes);
    return status_of(state_->model);
  });
}

std::string AdaptedModule::trainable_parameters() const {
  return guarded(Stage::kInternal, "count the parameters", [&] {
    const std::scoped_lock lock(state_->changes);
    return trainable_line(count_parameters(state_->model));
  });
}

std::vector<std::string> AdaptedModule::notes() const {
  const std::scoped_lock lock(state_->changes);
  return state_->notes;
}

}  // namespace tenon
