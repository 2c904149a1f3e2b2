#include "app/run_events.h"

#include <string>
#include <vector>

#include "app/resume.h"
#include "app/run_report.h"
#include "app/weight_histograms.h"
#include "base/file.h"

namespace tenon {

TrainingEvents training_events(const CommandLine& line, const RunConfig& config,
                               const TrainingTask& task, const std::optional<Dataset>& held_out,
                               RunCheckpoints& checkpoints, std::optional<RunLog>& run_log,
                               RunProgress& show) {
  TrainingEvents events;
  events.save_steps = config.output.save_steps;
  events.log_steps = config.output.log_steps;
  events.step = [&](const StepProgress& progress) {
    show(progress);
    if (run_log) run_log->add(progress);
  };
  events.save = [&](const TrainingState& state) {
    checkpoints.save(state, run_log ? run_log->sizes() : RunLog::Sizes());
    show.clear();
    print_line(line, "checkpoint in " + checkpoints.folder_of(state.step).string());
  };
  if (!held_out) return events;
  events.evaluate = [&](std::int64_t step, double epoch) {
    const Evaluation evaluation = evaluate(task, *held_out, *config.train);
    show.clear();
    print_line(line, evaluation_text("at step " + std::to_string(step), evaluation));
    Measures measures = measures_of(evaluation);
    if (run_log) run_log->add(step, epoch, measures);
    return measures;
  };
  return events;
}

std::optional<RunLog> open_log(const RunConfig& config, const AdaptedModel& model, RunOutput& place,
                               const std::optional<Evaluation>& before,
                               const std::optional<Checkpoint>& from) {
  std::optional<RunLog> run_log;
  if (!config.output.log_steps || !place.writes()) return run_log;
  const Measures measures = before ? measures_of(*before) : Measures();
  std::vector<std::string> names;
  for (const auto& [name, value] : measures) names.push_back(name);
  const std::filesystem::path folder = config.output.log_dir.value_or(run_folder(config));
  if (!config.output.log_dir) place.folder();  // is made, and this run's
  run_log.emplace(folder, names, read_text_file(config.file, Stage::kConfig),
                  from ? from->logs : RunLog::Sizes());
  if (config.output.log_histograms) {
    run_log->watch([&model] { return weight_histograms(model); });
  }
  if (before && !from) run_log->add(0, 0, measures);
  return run_log;
}

}  // namespace tenon
