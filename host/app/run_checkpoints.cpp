#include "app/run_checkpoints.h"

#include <utility>
#include <vector>

#include "app/resume.h"
#include "base/error.h"

namespace tenon {

namespace fs = std::filesystem;

RunCheckpoints::RunCheckpoints(const RunConfig& config, const AdaptedModel& model,
                               const Objectives& objectives, RunOutput& output,
                               const std::optional<Checkpoint>& from, std::int64_t processes)
    : config_(config),
      model_(model),
      objectives_(objectives),
      output_(output),
      resumed_(from ? fs::absolute(from->folder).lexically_normal().parent_path() : fs::path()),
      last_own_(from ? from->state.step : 0),
      processes_(processes) {
  if (from && config.train->load_best_model_at_end && from->state.best.value) {
    require_best(from->state.best.step);
  }
  if (config.train->full) origin();
}

void RunCheckpoints::require_best(std::int64_t step) const {
  if (is_checkpoint(folder_of(step))) return;
  throw Error(
      {.stage = Stage::kConfig,
       .message = "[train] load_best_model_at_end cannot load the best evaluation so far, that "
                  "of step " +
                  std::to_string(step) + ": there is no " + folder_of(step).string(),
       .hint = "leave load_best_model_at_end out"});
}

const TrainingOrigin& RunCheckpoints::origin() {
  if (!origin_) origin_ = origin_of(config_, model_, objectives_, processes_);
  return *origin_;
}

std::filesystem::path RunCheckpoints::folder_of(std::int64_t step) const {
  fs::path own = run_folder(config_) / checkpoint_name(step);
  const bool is_others = step <= last_own_ && !is_checkpoint(own) && !resumed_.empty() &&
                         is_checkpoint(resumed_ / checkpoint_name(step));
  return is_others ? resumed_ / checkpoint_name(step) : own;
}

void RunCheckpoints::save(const TrainingState& state, std::map<std::string, std::int64_t> logs) {
  if (!output_.writes()) return;
  const Checkpoint checkpoint{state, origin(), std::move(logs)};
  std::vector<FolderFile> files = output_.model_files(model_);
  for (FolderFile& file : checkpoint_files(checkpoint)) files.push_back(std::move(file));
  output_.folder().put_folder(checkpoint_name(state.step), files);
  remove_others(state.step);
  last_own_ = state.step;
  remove_surplus(state.step, state.best.value ? state.best.step : 0);
}

void RunCheckpoints::remove_others(std::int64_t kept) {
  if (!output_.writes()) return;
  for (const CheckpointPlace& place : checkpoints_in(run_folder(config_))) {
    if (place.step <= last_own_ || place.step == kept) continue;
    output_.folder().remove_folder(checkpoint_name(place.step));
  }
}

void RunCheckpoints::remove_surplus(std::int64_t newest, std::int64_t best) {
  if (!config_.output.save_total_limit) return;
  const std::vector<CheckpointPlace> places = checkpoints_in(run_folder(config_));
  auto surplus = static_cast<std::int64_t>(places.size()) - *config_.output.save_total_limit;
  for (const CheckpointPlace& place : places) {
    if (surplus <= 0) return;
    if (place.step == newest || place.step == best) continue;
    output_.folder().remove_folder(checkpoint_name(place.step));
    --surplus;
  }
}

}  // namespace tenon
