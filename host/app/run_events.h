#pragma once

#include <optional>

#include "adapter/checkpoint.h"
#include "app/command_line.h"
#include "app/run_checkpoints.h"
#include "app/run_log.h"
#include "app/run_output.h"
#include "app/run_progress.h"
#include "config/run_config.h"
#include "train/trainer.h"

namespace tenon {

// What the training asks for between its steps. Borrows all of it.
TrainingEvents training_events(const CommandLine& line, const RunConfig& config,
                               const TrainingTask& task, const std::optional<Dataset>& held_out,
                               RunCheckpoints& checkpoints, std::optional<RunLog>& run_log,
                               RunProgress& show);

// Where [output] log_steps asks for one. Borrows the model.
std::optional<RunLog> open_log(const RunConfig& config, const AdaptedModel& model, RunOutput& place,
                               const std::optional<Evaluation>& before,
                               const std::optional<Checkpoint>& from);

}  // namespace tenon
