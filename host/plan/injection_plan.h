#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/adapter_config.h"
#include "graph/graph.h"
#include "graph/subgraph.h"
#include "plan/recorded_layer.h"
#include "plugin/plugin_registry.h"

namespace tenon {

// Which of another layer's parameters a parameter is, held in the same memory.
struct TiedParameter {
  std::size_t number = 0;
  bool transposed = false;
};

// One layer that an adapter will be put on: everything is known, nothing has been changed.
struct PlannedLayer {
  ModuleId module = kNoModule;
  const LayerType* layer_type = nullptr;
  std::shared_ptr<const LayerFacts> facts;
  std::vector<std::int32_t> tensors;  // of ModelData::tensors: the layer's weights, in model order
  std::vector<Subgraph> subgraphs;    // one for each call
  std::vector<ParameterSpec> parameters;
  double scaling = 1;
  ModuleId shares_parameters_with = kNoModule;  // another layer's, shared with it (tied embeddings)
  // ensure_weight_tying: the layer, planned before this one, whose factors this one's are.
  ModuleId tied_to = kNoModule;
  std::vector<std::optional<TiedParameter>> tied;  // by parameter; empty if tied to none
  bool changes_alike = false;                      // the weight that both share, in the same way
  bool keeps_tied_start = false;                   // factors that it shares are not started anew
  bool in_base_dtype = false;  // its parameters are no wider than the base's weights
  std::string unmergeable;     // why it cannot be merged; "" if it can
  // As the plugin saw them, and of these the plugin's own; one table for all layers with the same.
  std::shared_ptr<const OptionTable> options = std::make_shared<const OptionTable>();
  std::shared_ptr<const OptionTable> own_options = options;
};

// The whole of one adapter's injection, planned before anything is committed.
struct InjectionPlan {
  AdapterConfig config;  // with its method known
  const Method* method = nullptr;
  std::vector<PlannedLayer> layers;
  std::vector<ModuleId> saved;
  std::vector<ModuleId> frozen;  // of these, those whose parameters are not trained
  std::vector<std::string> notes;
  // Modules of a saved adapter on which it does nothing: its tensors for them stay unused.
  std::vector<std::string> idle;
};

// Matches the targets, dispatches each to a plugin, and has the plugin validate the base and
// declare its parameters. Layers of a saved adapter go to the plugin that made them, with its
// options, unless [plugins.prefer] says otherwise. Throws Error{kInjection} with every layer that
// cannot be adapted and why.
InjectionPlan plan_injection(const ModelData& model, const AdapterConfig& wanted,
                             const PluginRegistry& plugins,
                             const std::vector<RecordedLayer>& recorded = {});

}  // namespace tenon
