#pragma once

#include <string>
#include <vector>

#include "data/data_source.h"
#include "inject/adapter_init.h"
#include "objectives/loss_settings.h"
#include "plan/injection_plan.h"

namespace tenon {

// The training data of a run, for adapters that start from them. Borrows the first two.
struct StartData {
  const Dataset& dataset;
  const TrainConfig& config;
  std::vector<LossSettings> losses = {};  // none: an adapter that asks for gradients is refused
};

// Whether the adapter needs data to start, whether that deals its ranks anew, and what of a config
// asks for it: "start = \"from_data\"".
bool starts_from_data(const InjectionPlan& plan);
bool deals_ranks(const InjectionPlan& plan);
std::string start_of(const InjectionPlan& plan);

// How an adapter starts that needs data.
struct DataStart {
  AdapterConfig config;  // to plan with anew: layers may have other ranks, or be left out
  GivenStarts given;
  std::vector<std::string> notes;
};

// Runs the base on batches of the data, as `config` would train on them, and shows the adapter's
// method the calls of its layers (tenon/draft/data_start.h). `plan`: of the adapter, by a config
// that asks for such a start. Throws Error{kInjection} for layers that cannot start so,
// Error{kTraining} where the data do not suffice, both with the method's text.
DataStart start_from_data(const ModelData& model, const InjectionPlan& plan, const StartData& data);

}  // namespace tenon
