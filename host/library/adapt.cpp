// How a model or a program becomes an AdaptedModule.
#include <ATen/ATen.h>
#include <tenon/adapt.h>

#include <algorithm>
#include <optional>

#include "capture/captured_model.h"
#include "capture/plugin_model.h"
#include "library/adapted_state.h"
#include "library/guarded.h"
#include "library/memory_file.h"
#include "model/export_notes.h"
#include "model/model_loader.h"
#include "operations/adapter_stages.h"

namespace tenon {
namespace {

[[noreturn]] void fail_start(const std::string& what) {
  throw Error({.stage = Stage::kConfig, .message = "start_inputs " + what});
}

// The examples that adapters of these configs start from; nothing where none does.
std::optional<Dataset> start_dataset(const std::vector<AdapterConfig>& configs,
                                     const StartOptions& options, const ModelData& model,
                                     const MethodTable& methods) {
  const std::vector<at::Tensor>& inputs = options.start_inputs;
  const bool is_needed = std::ranges::any_of(
      configs, [&](const AdapterConfig& config) { return needs_data(config, methods); });
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
  data.source = "start_inputs";
  for (const at::Tensor& input : inputs) {
    if (!input.defined() || input.dim() == 0 || input.size(0) != inputs[0].size(0)) {
      fail_start("must have as many examples in dimension 0, each of them");
    }
  }
  data.rows = inputs[0].size(0);
  return data;
}

TrainConfig start_batches(const StartOptions& options) {
  TrainConfig batches;
  batches.batch_size = options.start_batch_size;
  batches.shuffle = false;
  return batches;
}

std::shared_ptr<AdaptedState> adapt_made(const AdaptedState::MakeModel& make_model,
                                         const Config& given, const AdaptOptions& options) {
  // A caller in inference mode wants an adapter that can be trained all the same.
  const c10::InferenceMode normal(false);
  const RunConfig config = read_adapter_config(given);
  auto state =
      std::make_shared<AdaptedState>(config.plugins, options.plugin_directories, make_model);
  const StartOptions start{options.seed, options.start_inputs, options.start_batch_size};
  const auto examples =
      start_dataset(config.adapters, start, state->model.model(), state->plugins.methods());
  const TrainConfig batches = start_batches(start);
  AddOptions adding{.seed = options.seed};
  if (examples) adding.data.emplace(StartData{*examples, batches});
  if (!config.adapters.empty()) {
    state->notes = add_adapters(state->model, config.adapters, state->plugins, adding);
  } else if (given.form() != Config::Form::kKeys) {
    throw Error({.stage = Stage::kConfig,
                 .message = "nothing to adapt: [adapter] is missing",
                 .location = config.file.string()});
  }
  for (const ModelTensor& tensor : state->model.base_tensors()) {
    if (tensor.tensor.is_leaf()) tensor.tensor.set_requires_grad(false);
  }
  return state;
}

}  // namespace

std::unique_ptr<AdapterInstance> make_adapter(AdaptedState& state, const AdapterConfig& config,
                                              const StartOptions& options,
                                              std::vector<std::string>& notes) {
  const c10::InferenceMode normal(false);
  const auto examples =
      start_dataset({config}, options, state.model.model(), state.plugins.methods());
  const TrainConfig batches = start_batches(options);
  AddOptions adding{.seed = options.seed};
  if (examples) adding.data.emplace(StartData{*examples, batches});
  return make_adapter(state.model, {config}, 0, state.plugins, adding, state.base, notes);
}

namespace detail {

std::shared_ptr<AdaptedState> adapt_module(const CallableModel& model, const Config& config,
                                           const AdaptOptions& options) {
  return guarded(Stage::kModel, "adapt the model", [&] {
    CapturedModel captured = capture_model(model, {.fixed_sizes = options.fixed_sizes});
    auto state = adapt_made([&](const PluginRegistry&) { return std::move(captured.data); }, config,
                            options);
    state->notes.insert(state->notes.begin(), captured.notes.begin(), captured.notes.end());
    state->is_training = model.module->is_training();
    return state;
  });
}

std::shared_ptr<AdaptedState> adapt_program(const std::filesystem::path& file, const Config& config,
                                            const AdaptOptions& options) {
  return guarded(Stage::kModel, "adapt the program", [&] {
    std::vector<std::string> notes;
    const auto load = [&](const PluginRegistry&) {
      ModelConfig model;
      model.path = file;
      ModelData data = load_model(model);
      notes = export_notes(data);
      return data;
    };
    auto state = adapt_made(load, config, options);
    state->notes.insert(state->notes.begin(), notes.begin(), notes.end());
    return state;
  });
}

std::shared_ptr<AdaptedState> adapt_program(const ProgramBytes& bytes, const Config& config,
                                            const AdaptOptions& options) {
  return guarded(Stage::kModel, "adapt the program in memory", [&] {
    auto file = std::make_shared<const MemoryFile>(bytes.data, bytes.size);
    try {
      auto state = detail::adapt_program(file->path(), config, options);
      state->program = std::const_pointer_cast<MemoryFile>(file);
      return state;
    } catch (const Error& error) {
      // By a name that says something.
      Failure failure = error.failure();
      if (failure.location == file->path()) failure.location = "the program in memory";
      throw Error(std::move(failure));
    }
  });
}

std::shared_ptr<AdaptedState> adapt_model_plugin(const std::string& model,
                                                 const Table& model_options, const Config& config,
                                                 const AdaptOptions& options) {
  return guarded(Stage::kModel, "adapt the plugin's model", [&] {
    const ModelConfig wanted = read_plugin_model(model, model_options);
    return adapt_made([&](const PluginRegistry& plugins) { return load_model(wanted, plugins); },
                      config, options);
  });
}

}  // namespace detail

AdaptedModule::AdaptedModule(std::shared_ptr<AdaptedState> state) : state_(std::move(state)) {}

std::vector<at::Tensor> AdaptedModule::run(const std::vector<at::Tensor>& inputs,
                                           const ForwardOptions& options) const {
  return guarded(Stage::kModel, "run the model", [&] {
    const RunMode mode = state_->mode();
    if (mode.batch_norm_training) state_->has_trained_statistics = true;
    if (!options.adapters.empty() && options.active) {
      throw Error({.stage = Stage::kInjection,
                   .message = "ForwardOptions has adapters for each row and others for all rows",
                   .hint = "give `adapters` or `active`, not both"});
    }
    if (!options.adapters.empty())
      return state_->model.forward_rows(inputs, options.adapters, mode);
    if (options.active) return state_->model.forward_with(inputs, *options.active, mode);
    return state_->model.forward(inputs, mode);
  });
}

}  // namespace tenon
