#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

#include "adapted/adapted_model.h"
#include "app/adapter_config_problems.h"
#include "app/commands.h"
#include "app/load_base.h"
#include "app/not_finite.h"
#include "app/profile_text.h"
#include "app/rank_agreement.h"
#include "app/resume.h"
#include "app/run_checkpoints.h"
#include "app/run_data.h"
#include "app/run_events.h"
#include "app/run_log.h"
#include "app/run_output.h"
#include "app/run_progress.h"
#include "app/run_record.h"
#include "app/run_report.h"
#include "app/signals.h"
#include "app/stages.h"
#include "app/thread_check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/suggest.h"
#include "config/toml_reader.h"
#include "data/data_source.h"
#include "model/export_notes.h"
#include "objectives/loss_settings.h"
#include "plugin/plugin_registry.h"
#include "train/parameter_role.h"
#include "train/trainer.h"
#include "train/training_state.h"
#include "train/training_task.h"

namespace tenon {
namespace {

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

// Evaluations that are no number end the run: before anything is trained, or after it was saved.
void check_evaluation(const char* when, const Evaluation& evaluation, const AdaptedModel& model,
                      const RunConfig& config, const Dataset& data, const std::string& saved) {
  if (std::isfinite(evaluation.loss)) return;
  const std::string causes = not_finite_causes(model, config.model, {&data});
  throw Error({.stage = Stage::kTraining,
               .message = std::string("the evaluation ") + when + " training is not finite: loss " +
                          std::to_string(evaluation.loss) + saved,
               .hint = causes.empty() ? "[train] autocast or a half-precision base may overflow; "
                                        "look at the outputs with `tenon predict`"
                                      : causes,
               .location = data.source});
}

// What ended training early, once the last good state is saved.
void throw_failure(const AdaptedModel& model, const RunConfig& config, const Dataset& data,
                   const TrainingResult& training, const std::string& output) {
  const std::string saved = "; the last good state is saved in " + output;
  if (training.failure) {
    Failure failure = training.failure->failure();
    failure.message = "training ended after step " + std::to_string(training.steps) + ": " +
                      failure.message + saved;
    throw Error(std::move(failure));
  }
  if (!training.not_finite_step) return;
  const std::string causes = not_finite_causes(model, config.model, {&data});
  throw Error({.stage = Stage::kTraining,
               .message = "the loss was not finite at step " +
                          std::to_string(*training.not_finite_step) + saved,
               .hint = causes.empty() ? "lower [train] learning_rate: neither the data nor the "
                                        "weights hold NaN or infinity"
                                      : causes});
}

// Another rank is lost, and whoever starts all anew with --resume goes on from the checkpoints: an
// adapter saved beside them would be in the way.
[[noreturn]] void throw_to_go_on(const TrainingResult& training) {
  Failure failure = training.failure->failure();
  failure.message = "training ended after step " + std::to_string(training.steps) + ": " +
                    failure.message + "; with --resume it goes on from the newest checkpoint";
  throw Error(std::move(failure));
}

Ending ending_of(const TrainingResult& training) {
  if (training.failure || training.not_finite_step) return Ending::kDiverged;
  return training.interrupted ? Ending::kInterrupted : Ending::kWhole;
}

// Saves; where, in words that say what was left as it was.
std::string save(const AdaptedModel& model, const TrainingResult& training, RunOutput& place) {
  const std::vector<std::string> changed = changed_files();
  const std::filesystem::path saved =
      place.save(model, changed.empty() ? ending_of(training) : Ending::kChanged);
  const std::string wanted = place.wanted().string();
  const std::string output =
      saved.string() + (saved == place.wanted() ? "" : "; " + wanted + " is as it was");
  if (changed.empty()) return output;
  throw Error({.stage = Stage::kTraining,
               .message = join(changed, "; ") + "; the last good state is saved in " + output,
               .hint = "what it was trained on may be of two versions: train again when nobody "
                       "changes the file"});
}

// Tells how the run ended, on rank 0; the exit status.
int finish(const CommandLine& line, const AdaptedModel& model, RunOutcome& outcome,
           const std::string& output, bool is_first) {
  if (!is_first) return status_of_signal();
  const std::string ended = name_of_signal();
  const std::string after = "after step " + std::to_string(outcome.training.steps);
  if (outcome.training.interrupted) outcome.resume = resume_command(line);
  if (line.json) {
    std::cout << run_json(model, outcome, output) << "\n";
  } else {
    if (!ended.empty()) print_line(line, "interrupted " + after);
    if (outcome.profile) print_line(line, profile_text(*outcome.profile));
    print_line(line, "saved in " + output);
  }
  if (!ended.empty()) {
    log::error("ended by " + ended + " " + after + "; what was trained is saved in " + output +
               (outcome.resume.empty() ? "" : "; to go on:\n" + outcome.resume));
  }
  return status_of_signal();
}

// The tensors of the best evaluation's checkpoint, which rank 0 has, in place of the last step's.
void load_best(const TrainingTask& task, const RunCheckpoints& checkpoints,
               const BestValue::State& best) {
  if (task.ranks->is_first()) {
    const Checkpoint checkpoint = load_checkpoint(checkpoints.folder_of(best.step));
    copy_list(tensors_under(checkpoint.state.tensors, "parameter."), "parameters", task.parameters);
    copy_list(tensors_under(checkpoint.state.tensors, "buffer."), "buffers", task.buffers);
  }
  share_tensors(*task.ranks, task.parameters);
  share_tensors(*task.ranks, task.buffers);
}

void tell_batches(const Ranks& ranks, const TrainConfig& config) {
  if (ranks.is_alone()) return;
  const std::int64_t steps = config.gradient_accumulation_steps;
  log::info("batches of " + std::to_string(config.batch_size) + " rows on each process, " +
            std::to_string(config.batch_size * ranks.count()) + " together" +
            (steps == 1 ? "" : "; " + std::to_string(steps) + " of them a step"));
}

// Everything from the first evaluation to the last. A signal before the first step ends the run at
// once; from then on what was trained is saved first, whatever happens.
int train_and_save(const CommandLine& line, const RunConfig& config, AdaptedModel& model,
                   const Objectives& objectives, const TrainingData& all, RunOutput& place,
                   const std::optional<Checkpoint>& from, const std::shared_ptr<Ranks>& ranks) {
  const Dataset& data = all.train;
  place.require_room(model);
  const TrainConfig& settings = *config.train;
  TrainingTask task = training_task(model, settings, objectives);
  task.ranks = ranks;
  require_no_statistics(*ranks, model, settings);
  const std::optional<Dataset> held_out = evaluation_data(config, model.model(), all);
  RunCheckpoints checkpoints(config, model, objectives, place, from, ranks->count());
  if (!ranks->is_alone()) require_agreement(*ranks, facts_of(checkpoints.origin()));
  if (from) {
    for (const std::string& note : compare_origins(from->origin, checkpoints.origin())) {
      log::warning(note);
    }
  }
  RunOutcome outcome;
  if (held_out) {
    outcome.before = evaluate(task, *held_out, settings);
    print_line(line, evaluation_text("before", *outcome.before));
    check_evaluation("before", *outcome.before, model, config, *held_out, "; nothing was trained");
  }
  std::optional<Profiler> profiler;
  if (line.profile) profiler.emplace(layer_titles(model));
  const SignalsHeld held;
  std::optional<RunLog> run_log = open_log(config, model, place, outcome.before, from);
  RunProgress show(!line.json && !line.quiet);
  const TrainingEvents events =
      training_events(line, config, task, held_out, checkpoints, run_log, show);
  outcome.training =
      train(task, data, settings, events, held.stop(), from ? &from->state : nullptr);
  if (profiler) outcome.profile = profiler->profile();
  profiler.reset();
  const BestValue::State& best = outcome.training.best;
  const bool is_whole = ending_of(outcome.training) == Ending::kWhole;
  if (settings.load_best_model_at_end && best.value && is_whole) {
    load_best(task, checkpoints, best);
    print_line(line, best_text(best, settings));
  }
  if (line.resume && config.output.save_steps && outcome.training.failure &&
      !ranks->is_together()) {
    throw_to_go_on(outcome.training);
  }
  const std::string output = save(model, outcome.training, place);
  if (!place.writes() && outcome.training.failure) throw Error(*outcome.training.failure);
  if (is_whole) checkpoints.remove_others();
  throw_failure(model, config, data, outcome.training, output);
  for (const std::string& note : training_notes(outcome.training, settings.loss)) {
    log::warning(note);
  }
  if (held_out) outcome.after = evaluate(task, *held_out, settings, held.stop());
  if (outcome.after) {
    print_line(line, evaluation_text("after", *outcome.after));
    check_evaluation("after", *outcome.after, model, config, *held_out,
                     "; what was trained is saved in " + output);
  }
  if (run_log) run_log->end(run_record(config, model, outcome, output));
  return finish(line, model, outcome, output, ranks->is_first());
}

// What --resume goes on from; its config is compared before anything is loaded.
std::optional<Checkpoint> checkpoint_of(const CommandLine& line, const RunConfig& config,
                                        const std::optional<std::filesystem::path>& folder) {
  if (!folder) {
    if (line.resume) {
      log::info("there is no checkpoint in " + run_folder(config).string() +
                ": the run begins at its start");
    }
    return std::nullopt;
  }
  Checkpoint checkpoint = load_checkpoint(*folder);
  for (const std::string& note : compare_configs(checkpoint, config)) log::warning(note);
  print_line(line, "going on after step " + std::to_string(checkpoint.state.step) + ", from " +
                       folder->string());
  return checkpoint;
}

int run_full(const CommandLine& line, RunConfig& config, ModelData data,
             const Objectives& objectives, RunOutput& place, const std::optional<Checkpoint>& from,
             const std::shared_ptr<Ranks>& ranks) {
  AdaptedModel model(std::move(data));
  model.train_base();
  prepare_forwards(model, *config.train);
  print_line(line, trainable_line(count_parameters(model)));
  const TrainingData rows = training_data(config, model.model());
  return train_and_save(line, config, model, objectives, rows, place, from, ranks);
}

}  // namespace

int run_command(const CommandLine& line, const std::shared_ptr<Ranks>& ranks) {
  RunConfig config = read_run_config(
      line.target, line.overrides, {.adapter = true, .training = true}, problems_of_adapters(line));
  ranks->set_timeout(config.train->ddp_timeout);
  tell_batches(*ranks, *config.train);
  if (config.train->threads > 0) at::set_num_threads(static_cast<int>(config.train->threads));
  require_threads(at::get_num_threads());
  config.model.verify = !line.no_verify;
  const auto resumed = checkpoint_to_resume(line, config);
  const std::optional<Checkpoint> from = checkpoint_of(line, config, resumed);
  const bool goes_on = from || (line.resume && holds_only_logs(run_folder(config)));
  require_agreement(*ranks, facts_of(config, from ? from->state.step : 0));
  RunOutput place(line, config, goes_on, ranks->is_first());
  const PluginRegistry plugins(config.plugins, line.plugin_directories);
  const Objectives objectives = find_objectives(*config.train, plugins);
  ModelData data = load_base(config, plugins);
  for (const std::string& note : export_notes(data)) log::warning(note);
  if (config.train->full)
    return run_full(line, config, std::move(data), objectives, place, from, ranks);

  AdaptedModel model(std::move(data));
  std::optional<TrainingData> rows;
  AddOptions options{.seed = config.train->seed};
  options.train_statistics = config.train->batch_norm == "train";
  const bool starts_from_rows = std::ranges::any_of(
      config.adapters, [&](const auto& adapter) { return needs_data(adapter, plugins.methods()); });
  if (starts_from_rows) {
    rows = training_data(config, model.model());
    options.data.emplace(
        StartData{rows->train, *config.train, loss_settings(*config.train, objectives)});
  }
  const std::vector<std::string> notes = add_adapters(model, config.adapters, plugins, options);
  prepare_forwards(model, *config.train);
  if (config.train->second_factors_only) {
    freeze_first_factors(model, config.train->optimizer);
  }
  print_plugins(line, plugins, model);
  for (const std::string& note : notes) log::warning(note);
  print_adapters(line, model);
  print_line(line, trainable_line(count_parameters(model)));
  if (!rows) rows = training_data(config, model.model());
  return train_and_save(line, config, model, objectives, *rows, place, from, ranks);
}

}  // namespace tenon
