#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "adapted/adapted_model.h"
#include "adapter/checkpoint.h"
#include "app/run_output.h"
#include "config/run_config.h"
#include "objectives/objectives.h"

namespace tenon {

// Writes a run's checkpoints, and removes those that are too many or another run's. Borrows all
// that it is made with.
class RunCheckpoints {
 public:
  // `from`: what the run goes on from; checkpoints behind it are of a run that was given up. Throws
  // Error{kConfig} where [train] load_best_model_at_end could not load the best evaluation so far.
  RunCheckpoints(const RunConfig& config, const AdaptedModel& model, const Objectives& objectives,
                 RunOutput& output, const std::optional<Checkpoint>& from, std::int64_t processes);

  // What the run is of: worked out once, and before the training where that changes the base.
  const TrainingOrigin& origin();
  // Throws Error{kOutput}; what was saved before is whole then.
  void save(const TrainingState& state, std::map<std::string, std::int64_t> logs);
  // Those of another run, but for that of the step `kept`. At the latest when the run has saved
  // what it trained.
  void remove_others(std::int64_t kept = 0);
  // The checkpoint of a step of this run, or of the one that it goes on from in another folder.
  std::filesystem::path folder_of(std::int64_t step) const;

 private:
  void require_best(std::int64_t step) const;
  void remove_surplus(std::int64_t newest, std::int64_t best);

  const RunConfig& config_;
  const AdaptedModel& model_;
  const Objectives& objectives_;
  RunOutput& output_;
  std::filesystem::path resumed_;  // the folder with the checkpoint that it goes on from
  std::int64_t last_own_;          // steps up to this one are this run's
  std::int64_t processes_;
  std::optional<TrainingOrigin> origin_;
};

}  // namespace tenon
