#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/owned_tensors.h"
#include "plan/idle_modules.h"
#include "plan/injection_plan.h"
#include "plan/layer_options.h"
#include "plan/served_layer.h"
#include "plan/weight_targets.h"

namespace tenon {

// Plans single layers of one adapter. Borrows everything that it is made from.
class LayerPlanner {
 public:
  LayerPlanner(const ModelData& model, const SubgraphFinder& finder, const MethodConfig& method,
               LayerOptions& options, const PluginRegistry& plugins,
               const std::vector<RecordedLayer>& recorded);

  // These throw Error{kInjection} if the layer cannot be adapted; `notes` gets what is worth
  // saying.
  PlannedLayer plan(ModuleId id, std::vector<std::string>& notes) const;
  // By a layer type of another method, whose options these are.
  PlannedLayer plan(ModuleId id, const LayerType& layer_type, OptionTable options) const;
  // Parameters of one module, each adapted alone.
  PlannedLayer plan(const ParameterTargets& targets, std::vector<std::string>& notes) const;

 private:
  PlannedLayer plan_whole(const Module& module, ModuleId id, OptionTable keys,
                          std::vector<std::string>& notes) const;
  std::vector<std::string> take_tensors(const Module& module, PlannedLayer& layer) const;
  std::vector<std::string> take_read_tensors(const Module& module, PlannedLayer& layer) const;
  void declare(const Module& module, PlannedLayer& layer, OptionTable keys) const;
  bool has_plain_operator(const PlannedLayer& layer, const std::string& served) const;
  void check_weights(const Module& module, const std::string& served,
                     const std::vector<std::string>& names) const;
  bool holds_layers(const Module& module) const;
  void check_calls(const Module& module, const PlannedLayer& layer) const;
  const LayerType* dispatch(const Module& module, const std::string& served) const;
  const LayerType* serve(const RecordedLayer& recorded, const std::string& served,
                         std::vector<std::string>& notes) const;
  const RecordedLayer* find_record(const Module& module) const;
  void check_trainable(const Module& module, const std::vector<Subgraph>& subgraphs) const;
  std::vector<Subgraph> live_subgraphs(const Module& module, ModuleId id) const;
  std::vector<Subgraph> readers(const Module& module, const PlannedLayer& layer,
                                const std::vector<std::string>& names,
                                const ParameterTargets& targets) const;
  void check_weights_run(const Module& module, const PlannedLayer& layer) const;
  LayerFacts::Description describe(const Module& module, const PlannedLayer& layer,
                                   const std::vector<std::string>& names,
                                   const ServedLayer& served) const;

  const ModelData& model_;
  const SubgraphFinder& finder_;
  const Method& method_;
  const AdapterConfig& config_;
  LayerOptions& options_;
  const PluginRegistry& plugins_;
  std::map<std::string_view, const RecordedLayer*> recorded_;  // by module path
  OwnedTensors owned_;
  IdleModules idle_;
};

}  // namespace tenon
