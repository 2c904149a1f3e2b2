#pragma once

#include <string>
#include <vector>

#include "inject/adapter_start.h"
#include "inject/injection_plan.h"
#include "train/data_source.h"

namespace tenon {

// The training data of a run, for adapters that start from them. Borrows both.
struct StartData {
  const Dataset& dataset;
  const TrainConfig& config;
};

// Whether the adapter needs data to start, whether that deals its ranks anew, and the line of a
// config that asks for it: "init_lora_weights = \"eva\"".
bool starts_from_data(const InjectionPlan& plan);
bool deals_ranks(const InjectionPlan& plan);
std::string start_of(const InjectionPlan& plan);

// How an adapter starts that needs data (init_lora_weights = "eva" or "corda").
struct DataStart {
  AdapterConfig config;  // to plan with anew: EVA gives layers other ranks, or none
  GivenStarts given;
  std::vector<std::string> notes;
};

// Runs the base on batches of the data, as `config` would train on them. `plan`: of the adapter, by
// a config that asks for such a start. Throws Error{kInjection} for layers that cannot start so,
// Error{kTraining} where the data do not suffice (see eva_start, corda_start).
DataStart start_from_data(const ModelData& model, const InjectionPlan& plan, const StartData& data);

}  // namespace tenon
