#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <unistd.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/profile_text.h"
#include "app/stages.h"
#include "app/training_task.h"
#include "base/error.h"
#include "base/log.h"
#include "capture/plugin_model.h"
#include "config/toml_reader.h"
#include "inject/adapted_model.h"
#include "model/export_notes.h"
#include "model/tensor_file.h"
#include "plugin/plugin_registry.h"
#include "train/data_source.h"
#include "train/parameter_role.h"
#include "train/trainer.h"

namespace tenon {
namespace {

using Json = nlohmann::ordered_json;

struct Outcome {
  std::optional<Evaluation> before;
  std::optional<Evaluation> after;
  TrainingResult training;
  std::optional<StepProfile> profile;
};

double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

void print(const CommandLine& line, const std::string& text) {
  if (!line.json && !line.quiet) std::cout << text << std::endl;
}

// A bar that redraws itself on a terminal, a plain line now and then elsewhere.
class Progress {
 public:
  explicit Progress(bool shown) : shown_(shown), terminal_(::isatty(STDOUT_FILENO) != 0) {}

  void operator()(const StepProgress& step) const {
    if (!shown_) return;
    const bool last = step.step == step.steps;
    if (!terminal_) {
      if (last || step.step == 1 || step.step % std::max<std::int64_t>(1, step.steps / 10) == 0) {
        std::cout << "step " << step.step << "/" << step.steps << "  loss " << step.loss
                  << std::endl;  // a reader of the pipe sees it now
      }
      return;
    }
    constexpr std::int64_t kWidth = 30;
    const std::int64_t done = kWidth * step.step / std::max<std::int64_t>(1, step.steps);
    std::cout << "\r[" << std::string(static_cast<std::size_t>(done), '=')
              << std::string(static_cast<std::size_t>(kWidth - done), ' ') << "] " << step.step
              << "/" << step.steps << "  loss " << step.loss << "   " << (last ? "\n" : "")
              << std::flush;
  }

 private:
  bool shown_;
  bool terminal_;
};

void print_plugins(const CommandLine& line, const PluginRegistry& plugins) {
  for (const PluginInfo& plugin : plugins.plugins()) {
    print(line, "plugin " + plugin.id + " " + plugin.version + "  " + plugin.path.string());
  }
}

void print_adapters(const CommandLine& line, const AdaptedModel& model,
                    const std::vector<std::string>& notes) {
  for (const std::string& note : notes) log::warning(note);
  for (const std::string& name : model.adapter_names()) {
    for (const PlannedLayer& layer : model.adapter(name).layers) {
      const LayerFacts::Description& facts = layer.facts->description();
      print(line, "adapted  " + facts.module_path + "  " + facts.type + " -> " +
                      layer.layer_type->title() + "  (" + layer.layer_type->plugin().id + ")" +
                      (model.adapter_names().size() > 1 ? "  [" + name + "]" : ""));
    }
  }
}

std::string evaluation_text(const char* when, const Evaluation& evaluation) {
  std::string text =
      std::string("evaluation ") + when + ": loss " + std::to_string(evaluation.loss);
  if (evaluation.accuracy) text += "  accuracy " + std::to_string(*evaluation.accuracy);
  return text;
}

Json evaluation_json(const std::optional<Evaluation>& evaluation) {
  if (!evaluation) return nullptr;
  return {{"loss", evaluation->loss},
          {"accuracy", evaluation->accuracy ? Json(*evaluation->accuracy) : Json(nullptr)}};
}

// What the profile counts each adapted layer under.
std::map<std::string, std::string> layer_titles(const AdaptedModel& model) {
  std::map<std::string, std::string> titles;
  for (const std::string& name : model.adapter_names()) {
    for (const PlannedLayer& layer : model.adapter(name).layers) {
      const LayerFacts::Description& facts = layer.facts->description();
      titles.emplace(facts.module_path, facts.type + " (" + layer.layer_type->id() + ")");
    }
  }
  for (const AdaptedLayer* layer : model.layers()) titles.emplace(layer->path(), "modules_to_save");
  return titles;
}

Dataset training_data(const RunConfig& config, const AdaptedModel& model) {
  return read_dataset(config.data->train, *config.data, config.train->loss, model.model().inputs);
}

Outcome train_and_evaluate(const CommandLine& line, const RunConfig& config,
                           const AdaptedModel& model, const Dataset& data,
                           const std::atomic<bool>& stop) {
  const TrainConfig& settings = *config.train;
  const TrainingTask task = training_task(model, settings);
  std::optional<Dataset> held_out;
  if (config.data->eval) {
    held_out = read_dataset(*config.data->eval, *config.data, settings.loss, task.inputs);
  }
  Outcome outcome;
  if (held_out) {
    outcome.before = evaluate(task, *held_out, settings);
    print(line, evaluation_text("before", *outcome.before));
  }
  std::optional<Profiler> profiler;
  if (line.profile) profiler.emplace(layer_titles(model));
  outcome.training = train(task, data, settings, Progress(!line.json && !line.quiet), stop);
  if (profiler) outcome.profile = profiler->profile();
  profiler.reset();
  if (outcome.training.rows_left_out > 0) {
    print(line, std::to_string(outcome.training.rows_left_out) +
                    " rows of each epoch were left out: the export fixed the batch size");
  }
  if (held_out) {
    outcome.after = evaluate(task, *held_out, settings);
    print(line, evaluation_text("after", *outcome.after));
  }
  return outcome;
}

void save_base(const AdaptedModel& model, const std::filesystem::path& file) {
  NamedTensors tensors;
  for (const ModelTensor& tensor : model.base_tensors()) {
    if (tensor.kind == ValueKind::kConstant || !tensor.persistent) continue;
    tensors.emplace_back(tensor.name, tensor.tensor.detach());
    for (const std::string& alias : tensor.aliases) {
      tensors.emplace_back(alias, tensor.tensor.detach().clone());
    }
  }
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
  write_tensor_file(file, tensors);
}

Json run_json(const AdaptedModel& model, const Outcome& outcome, const std::string& output) {
  const ParameterCount count = count_parameters(model);
  const TrainingResult& training = outcome.training;
  Json json = {
      {"trainable_params", count.trainable},
      {"all_params", count.all},
      {"steps", training.steps},
      {"losses", training.losses},
      {"eval",
       {{"before", evaluation_json(outcome.before)}, {"after", evaluation_json(outcome.after)}}},
      {"step_ms",
       {{"median", training.step_ms_median},
        {"min", training.step_ms_min},
        {"max", training.step_ms_max}}},
      {"rows_left_out", training.rows_left_out},
      {"interrupted", training.interrupted},
      {"peak_rss_mb", peak_rss_mb()},
      {"output", output}};
  if (outcome.profile) json["profile"] = profile_json(*outcome.profile);
  return json;
}

// Tells how the run ended; a loss that is not finite fails it after the last good state was saved.
void finish(const CommandLine& line, const AdaptedModel& model, const Outcome& outcome,
            const std::string& output) {
  if (outcome.training.not_finite_step) {
    throw Error({.stage = Stage::kTraining,
                 .message = "the loss was not finite at step " +
                            std::to_string(*outcome.training.not_finite_step) +
                            "; the last good state is saved in " + output,
                 .hint = "lower [train] learning_rate, or look for NaN in the data"});
  }
  if (line.json) {
    std::cout << run_json(model, outcome, output).dump(2) << "\n";
    return;
  }
  if (outcome.training.interrupted) {
    print(line, "interrupted after step " + std::to_string(outcome.training.steps));
  }
  if (outcome.profile) print(line, profile_text(*outcome.profile));
  print(line, "saved in " + output);
}

void run_full(const CommandLine& line, const RunConfig& config, ModelData data,
              const std::atomic<bool>& stop) {
  AdaptedModel model(std::move(data));
  model.train_base();
  model.checkpoint(config.train->checkpoint);
  print(line, trainable_line(count_parameters(model)));
  const Dataset rows = training_data(config, model);
  const Outcome outcome = train_and_evaluate(line, config, model, rows, stop);
  save_base(model, *config.output.model);
  finish(line, model, outcome, config.output.model->string());
}

}  // namespace

void run_command(const CommandLine& line, const std::atomic<bool>& stop) {
  RunConfig config =
      read_run_config(line.target, line.overrides, {.adapter = true, .training = true});
  if (config.train->threads > 0) at::set_num_threads(static_cast<int>(config.train->threads));
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  print_plugins(line, plugins);
  ModelData data = load_model(config.model, plugins);
  for (const std::string& note : export_notes(data)) log::warning(note);
  if (config.train->full) return run_full(line, config, std::move(data), stop);

  const bool force = line.force || config.output.force;
  check_output_folder(*config.output.directory, force);
  AdaptedModel model(std::move(data));
  std::optional<Dataset> rows;
  AddOptions options{.seed = config.train->seed};
  if (std::ranges::any_of(config.adapters, needs_data)) {
    rows = training_data(config, model);
    options.data.emplace(StartData{*rows, *config.train});
  }
  const std::vector<std::string> notes = add_adapters(model, config.adapters, plugins, options);
  model.checkpoint(config.train->checkpoint);
  if (config.train->optimizer == "lorafa") freeze_lora_a(model);
  print_adapters(line, model, notes);
  print(line, trainable_line(count_parameters(model)));
  if (!rows) rows = training_data(config, model);
  const Outcome outcome = train_and_evaluate(line, config, model, *rows, stop);
  save_adapters(model, *config.output.directory, force);
  finish(line, model, outcome, config.output.directory->string());
}

}  // namespace tenon
