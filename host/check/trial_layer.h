#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "adapted/adapted_model.h"
#include "check/trial_base.h"
#include "plan/injection_plan.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// A layer type of a plugin on one of its base types.
struct LayerUnderCheck {
  std::filesystem::path file;
  std::string id;
  std::string method;
  std::string base_type;
  AdapterConfig given = {};  // keys and options that are not to be the defaults
  std::string device = "cpu";
};

// The plugin under check as the only server of its layer type, watched by the probe. Only for a
// child of run_in_child, since it runs the plugin's code here.
class TrialLayer {
 public:
  // Throws Error if the plugin cannot be opened, or the device is not there.
  TrialLayer(const LayerUnderCheck& layer, TrialBase base);

  const TrialBase& base() const { return base_; }
  bool has_forward() const;
  bool can_merge() const;
  bool heeds_rows() const;

  // Adapters with rank 2, alpha 4 and this dropout, but for what is given. Throws Error.
  InjectionPlan plan(const TrialBase& base, double dropout = 0) const;
  std::unique_ptr<AdaptedModel> adapt(const TrialBase& base, double dropout = 0) const;
  // The base with the weights that merged_weight gives.
  std::unique_ptr<AdaptedModel> adapt_merged(const TrialBase& base) const;

 private:
  LayerUnderCheck layer_;
  TrialBase base_;
  OpenedPlugin watched_;
  OpenedPlugin merging_;
  std::unique_ptr<PluginRegistry> registry_;
  std::unique_ptr<PluginRegistry> merging_registry_;
};

// Gives all trainable parameters the same normal numbers, whatever model they belong to.
void draw_parameters(const AdaptedModel& model);

}  // namespace tenon
