#pragma once

#include <optional>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "app/command_line.h"
#include "plugin/plugin_registry.h"
#include "train/profiler.h"
#include "train/trainer.h"

// What `tenon run` prints.
namespace tenon {

struct RunOutcome {
  std::optional<Evaluation> before;
  std::optional<Evaluation> after;
  TrainingResult training;
  std::optional<StepProfile> profile;
  std::string resume;  // the command that goes on with an interrupted run
};

// A line for people: nothing with --json and -q.
void print_line(const CommandLine& line, const std::string& text);

// The plugins that the layers are adapted by; with -v all that were found.
void print_plugins(const CommandLine& line, const PluginRegistry& plugins,
                   const AdaptedModel& model);
void print_adapters(const CommandLine& line, const AdaptedModel& model);
std::string evaluation_text(const std::string& when, const Evaluation& evaluation);
std::string best_text(const BestValue::State& best, const TrainConfig& config);
Measures measures_of(const Evaluation& evaluation);
// What training left out or did not do, one sentence each.
std::vector<std::string> training_notes(const TrainingResult& training, const std::string& loss);
std::string run_json(const AdaptedModel& model, const RunOutcome& outcome,
                     const std::string& output);

}  // namespace tenon
