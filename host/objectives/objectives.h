#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/train_config.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// A loss or a metric of a plugin with the options that a config gives it. Borrows the plugin's.
struct BoundLoss {
  const PluginLoss* loss;
  OptionTable options;  // complete
};
struct BoundMetric {
  const PluginMetric* metric;
  OptionTable options;
};

// The losses and metrics of plugins that a training uses.
struct Objectives {
  std::vector<std::shared_ptr<const BoundLoss>> losses;  // by [train] losses; nullptr: the host's
  std::map<std::string, std::shared_ptr<const BoundMetric>> metrics;

  std::shared_ptr<const BoundLoss> loss(std::size_t term) const {
    return term < losses.size() ? losses[term] : nullptr;
  }
};

// The plugins that these are of; one for each loss and metric.
std::vector<const PluginInfo*> plugins_of(const Objectives& objectives);

// What a plugin's loss or metric judges, in the host's words.
TargetKind target_kind_of(tenon_judged judged);

// Finds those that `config` names and no built-in has the name of, completes their options, and
// notes in the config what they judge. Throws Error{kConfig} with every name that there is none of
// and every option that does not fit.
Objectives find_objectives(TrainConfig& config, const PluginRegistry& plugins);

}  // namespace tenon
