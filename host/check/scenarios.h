#pragma once

#include <span>
#include <string>
#include <vector>

#include "check/rules.h"
#include "check/trial_layer.h"

namespace tenon {

// One way of using a layer, run in a child process; beside its own rules, the probe watches all
// that the plugin does meanwhile.
struct Scenario {
  std::vector<const char*> rules;  // what `run` finds out; the first is broken if it throws
  void (*run)(const TrialLayer& layer, Findings& findings);
};

// In the order they are tried. The first three are what all others stand on.
std::span<const Scenario> all_scenarios();

}  // namespace tenon
