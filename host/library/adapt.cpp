#include <ATen/ATen.h>
#include <tenon/adapt.h>

#include <algorithm>
#include <atomic>
#include <optional>

#include "adapter/adapter_stages.h"
#include "base/log.h"
#include "base/suggest.h"
#include "capture/captured_model.h"
#include "config/checked_config.h"
#include "config/toml_reader.h"
#include "inject/adapted_model.h"
#include "inject/module_names.h"
#include "inject/parameter_count.h"
#include "inject/running_statistics.h"
#include "model/export_notes.h"
#include "model/model_loader.h"
#include "plugin/plugin_registry.h"
#include "train/loss.h"
#include "train/trainer.h"
#include "train/training_task.h"

namespace tenon {

// Plugins outlive what they made.
struct AdaptedState {
  AdaptedState(const PluginsConfig& config, const std::vector<std::filesystem::path>& directories,
               ModelData data)
      : plugins(config, directories), model(std::move(data)) {}

  PluginRegistry plugins;
  AdaptedModel model;
  RunMode mode;
  std::vector<std::string> notes;
  bool has_trained_statistics = false;  // BatchNorm's, in the model itself
  // Of the user's model while it is merged: each tensor, and what it was.
  std::vector<std::pair<at::Tensor, at::Tensor>> originals;
};

namespace {

RunConfig read(const Config& config) {
  if (const auto* file = std::get_if<std::filesystem::path>(&config.source())) {
    return read_run_config(*file, {}, {.model = false, .adapter = true, .training = false});
  }
  RunConfig run;
  run.adapters = {checked_config(std::get<AdapterConfig>(config.source()))};
  return run;
}

[[noreturn]] void fail_start(const std::string& what) {
  throw Error({.stage = Stage::kConfig, .message = "AdaptOptions::start_inputs " + what});
}

// The examples that adapters of `config` start from; nothing where none does.
std::optional<Dataset> start_dataset(const RunConfig& config, const AdaptOptions& options,
                                     const ModelData& model) {
  const std::vector<at::Tensor>& inputs = options.start_inputs;
  const bool is_needed = std::ranges::any_of(config.adapters, needs_data);
  if (!is_needed && !inputs.empty()) {
    fail_start("are given, and no adapter starts from data (init_lora_weights eva or corda)");
  }
  if (!is_needed) return std::nullopt;
  if (inputs.size() != model.inputs.size()) {
    fail_start("must be one tensor for each of the model's " + std::to_string(model.inputs.size()) +
               " inputs, not " + std::to_string(inputs.size()) +
               ": init_lora_weights needs examples");
  }
  Dataset data;
  data.inputs = inputs;
  data.source = "AdaptOptions::start_inputs";
  for (const at::Tensor& input : inputs) {
    if (!input.defined() || input.dim() == 0 || input.size(0) != inputs[0].size(0)) {
      fail_start("must have as many examples in dimension 0, each of them");
    }
  }
  data.rows = inputs[0].size(0);
  return data;
}

std::shared_ptr<AdaptedState> adapt_data(ModelData data, const Config& given,
                                         const AdaptOptions& options) {
  // A caller in inference mode wants an adapter that can be trained all the same.
  const c10::InferenceMode normal(false);
  const RunConfig config = read(given);
  if (config.adapters.empty()) {
    throw Error({.stage = Stage::kConfig,
                 .message = "nothing to adapt: [adapter] is missing",
                 .location = config.file.string()});
  }
  auto state =
      std::make_shared<AdaptedState>(config.plugins, options.plugin_directories, std::move(data));
  const auto examples = start_dataset(config, options, state->model.model());
  TrainConfig batches;
  batches.batch_size = options.start_batch_size;
  batches.shuffle = false;
  AddOptions adding{.seed = options.seed};
  if (examples) adding.data.emplace(StartData{*examples, batches});
  state->notes = add_adapters(state->model, config.adapters, state->plugins, adding);
  for (const ModelTensor& tensor : state->model.base_tensors()) {
    if (tensor.tensor.is_leaf()) tensor.tensor.set_requires_grad(false);
  }
  return state;
}

// They were trained in the user's own model, of which the adapter's folder holds nothing.
void warn_of_statistics(const AdaptedModel& model) {
  std::vector<std::string> paths = modules_with_statistics(model.model());
  std::erase_if(paths, [&](const std::string& path) {
    return std::ranges::any_of(model.adapter_names(), [&](const std::string& name) {
      return std::ranges::any_of(model.adapter(name).saved,
                                 [&](const std::string& saved) { return lies_in(path, saved); });
    });
  });
  if (paths.empty()) return;
  log::warning("the statistics of " + join(paths) +
               " were trained in the model itself and are not in the adapter's folder: save the "
               "model too, or name these in modules_to_save");
}

}  // namespace

namespace detail {

std::shared_ptr<AdaptedState> adapt_module(const CallableModel& model, const Config& config,
                                           const AdaptOptions& options) {
  CapturedModel captured = capture_model(model, {.fixed_sizes = options.fixed_sizes});
  auto state = adapt_data(std::move(captured.data), config, options);
  state->notes.insert(state->notes.begin(), captured.notes.begin(), captured.notes.end());
  state->mode.training = model.module->is_training();
  return state;
}

std::shared_ptr<AdaptedState> adapt_program(const std::filesystem::path& file, const Config& config,
                                            const AdaptOptions& options) {
  ModelConfig model;
  model.path = file;
  ModelData data = load_model(model);
  const std::vector<std::string> notes = export_notes(data);
  auto state = adapt_data(std::move(data), config, options);
  state->notes.insert(state->notes.begin(), notes.begin(), notes.end());
  return state;
}

}  // namespace detail

AdaptedModule::AdaptedModule(std::shared_ptr<AdaptedState> state) : state_(std::move(state)) {}

std::vector<at::Tensor> AdaptedModule::run(const std::vector<at::Tensor>& inputs) const {
  if (state_->mode.batch_norm_training) state_->has_trained_statistics = true;
  return state_->model.forward(inputs, state_->mode);
}

std::vector<at::Tensor> AdaptedModule::parameters() const { return state_->model.trainable(); }

std::vector<std::pair<std::string, at::Tensor>> AdaptedModule::named_parameters() const {
  std::vector<std::pair<std::string, at::Tensor>> named;
  for (const std::string& name : state_->model.active()) {
    for (const AddedTensor& added : state_->model.adapter(name).tensors) {
      if (added.trainable) named.emplace_back(added.key(), added.tensor);
    }
  }
  return named;
}

void AdaptedModule::train(bool on, bool batch_norm) {
  state_->mode = {.training = on, .batch_norm_training = on && batch_norm};
}

bool AdaptedModule::is_training() const { return state_->mode.training; }

void AdaptedModule::save(const std::filesystem::path& folder, bool force) {
  if (state_->has_trained_statistics) warn_of_statistics(state_->model);
  // The record names the base as it is without the adapter.
  const bool merged = !state_->originals.empty();
  if (merged) unmerge_from_model();
  save_adapters(state_->model, folder, force);
  if (merged) merge_into_model();
}

void AdaptedModule::merge_into_model() {
  if (!state_->originals.empty()) return;
  AdaptedModel& model = state_->model;
  model.merge(model.active());
  if (const std::vector<std::string> shared = model.merged_but_shared(); !shared.empty()) {
    model.unmerge();
    throw Error({.stage = Stage::kInjection,
                 .message = "merging into the model would change what more than the adapted layer "
                            "reads: " +
                            join(shared),
                 .hint = "leave the adapter unmerged, or give the other use a weight of its own"});
  }
  std::vector<std::pair<const ModelTensor*, at::Tensor>> changes;
  for (const MergedTensor& merged : model.merged_tensors()) {
    changes.emplace_back(&model.base_tensors()[static_cast<std::size_t>(merged.tensor)],
                         merged.merged);
  }
  const at::NoGradGuard no_grad;
  for (const auto& [base, now] : changes) {
    state_->originals.emplace_back(base->tensor, base->tensor.detach().clone());
    const at::Tensor destination = base->tensor;
    destination.copy_(now);
  }
}

void AdaptedModule::unmerge_from_model() {
  const at::NoGradGuard no_grad;
  // The last change first: a tensor may have been changed twice.
  for (auto change = state_->originals.rbegin(); change != state_->originals.rend(); ++change) {
    const at::Tensor destination = change->first;
    destination.copy_(change->second);
  }
  state_->originals.clear();
  state_->model.unmerge();
}

std::vector<std::string> AdaptedModule::targeted_module_names() const {
  std::vector<std::string> names;
  for (const std::string& adapter : state_->model.adapter_names()) {
    for (const PlannedLayer& layer : state_->model.adapter(adapter).layers) {
      names.push_back(layer.facts->description().module_path);
    }
  }
  return names;
}

ModelStatus AdaptedModule::status() const { return status_of(state_->model); }

std::string AdaptedModule::trainable_parameters() const {
  return trainable_line(count_parameters(state_->model));
}

const std::vector<std::string>& AdaptedModule::notes() const { return state_->notes; }

TrainReport train(AdaptedModule& model, const TrainRows& rows, const TrainConfig& config) {
  Dataset data;
  data.inputs = rows.inputs;
  data.source = "TrainRows";
  data.target_name = "target";
  if (rows.target.defined()) data.target = rows.target;
  if (rows.weights.defined()) data.weights = rows.weights.to(at::kDouble);
  data.rows = rows.inputs.empty() || rows.inputs[0].dim() == 0 ? 0 : rows.inputs[0].size(0);
  for (const InputSpec& input : model.state_->model.model().inputs) {
    data.input_names.push_back(input.name);
  }
  TrainConfig settings = config;
  if (data.target) balance_classes(settings, *data.target);
  const std::atomic<bool> never{false};
  const TrainingResult result =
      train(training_task(model.state_->model, settings), data, settings, {}, never);
  if (result.failure) throw *result.failure;
  if (result.not_finite_step) {
    throw Error(
        {.stage = Stage::kTraining,
         .message = "the loss was not finite at step " + std::to_string(*result.not_finite_step),
         .hint = "lower learning_rate, or look for what is not finite in the rows"});
  }
  return {result.losses, result.learning_rates, result.grad_norms};
}

}  // namespace tenon
