#pragma once

#include <string>

#include "adapted/adapted_model.h"
#include "app/run_report.h"
#include "config/run_config.h"

namespace tenon {

// run.json, beside a run's logs: what `tenon run --json` answers, the config, the versions, and how
// far each adapted layer's weight was moved, ||change|| / ||weight||, merged for it one layer at a
// time.
std::string run_record(const RunConfig& config, const AdaptedModel& model,
                       const RunOutcome& outcome, const std::string& output);

}  // namespace tenon
