#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "adapted/adapted_model.h"
#include "adapter/checkpoint.h"
#include "config/run_config.h"
#include "ranks/ranks.h"

// Processes that should do the same and were given other files or configs.
namespace tenon {

// Throws Error{kConfig}, the same on every rank, that names what is not as on rank 0, and on which.
void require_agreement(Ranks& ranks, const std::map<std::string, std::string>& facts);

// What must be the same of a config, and of the program. `resumed`: the step that a run goes on
// from.
std::map<std::string, std::string> facts_of(const RunConfig& config, std::int64_t resumed = 0);
// What must be the same of what it names.
std::map<std::string, std::string> facts_of(const TrainingOrigin& origin);

// Each process would update running statistics by its own rows, and rank 0 would save its own.
// Throws Error{kConfig}, where several would.
void require_no_statistics(const Ranks& ranks, const AdaptedModel& model,
                           const TrainConfig& config);

}  // namespace tenon
