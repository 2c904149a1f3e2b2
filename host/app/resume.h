#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "adapter/checkpoint.h"
#include "app/command_line.h"
#include "config/run_config.h"
#include "objectives/objectives.h"

namespace tenon {

// The folder of a run: [output] directory, or with `full` the model's path without its ending and
// ".run" after it. Its checkpoints are in it, and its logs unless log_dir names another.
std::filesystem::path run_folder(const RunConfig& config);

// The checkpoint that `--resume` means; none where the run's folder has none.
std::optional<std::filesystem::path> checkpoint_to_resume(const CommandLine& line,
                                                          const RunConfig& config);

// What this run is of, in so many processes. Reads all of the data.
TrainingOrigin origin_of(const RunConfig& config, const AdaptedModel& model,
                         const Objectives& objectives, std::int64_t processes);

// Keys of which the value is a place, and what is there is compared in its stead, or that say
// nothing of the steps.
bool is_of_this_machine(const std::string& key);

// Throws Error{kConfig} with every key whose value must not change and did, and for fewer steps
// than were taken, before anything is loaded. What changed otherwise, for the user.
std::vector<std::string> compare_configs(const Checkpoint& then, const RunConfig& now);

// Throws Error{kConfig} for other data or another base. What else is another, for the user.
std::vector<std::string> compare_origins(const TrainingOrigin& then, const TrainingOrigin& now);

// "tenon run my.toml --resume": what goes on with an interrupted run.
std::string resume_command(const CommandLine& line);

}  // namespace tenon
