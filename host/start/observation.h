#pragma once

#include <cstdint>

#include "base/error.h"
#include "plan/injection_plan.h"
#include "plugin/started_adapter.h"
#include "start/observed_layers.h"

namespace tenon {

// A method that works out from data how its adapter starts (tenon/draft/data_start.h): its
// functions, and the state that it counts in. Borrows the plan and the layers. Each function throws
// Error with the plugin's text: kInjection where the config asks for what cannot be, else
// kTraining.
class Observation {
 public:
  Observation(const InjectionPlan& plan, const ObservedLayers& layers);
  ~Observation();
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

  void observe(const tenon_observed& call);
  // Whether it has seen enough.
  bool after_batch();
  void finish(tenon_started& started);

 private:
  void require(tenon_status status, const char* function, const tenon_error& error) const;

  const InjectionPlan& plan_;
  const ObservedLayers& layers_;
  const Method& method_;
  void* state_ = nullptr;
};

}  // namespace tenon
