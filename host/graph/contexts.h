#pragma once

#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>

#include <vector>

#include "graph/graph.h"

namespace tenon {

// The innermost context that holds both.
ContextId common_context(const Graph& graph, ContextId one, ContextId other);

// False where the model's code switched gradients off.
bool has_gradients(const Graph& graph, ContextId context);

// The context that switches gradients off; added if the graph has none.
ContextId context_without_gradients(Graph& graph);

// The settings of a context, outermost first.
using ContextSettings = std::vector<ContextSetting>;
ContextSettings settings_of(const Graph& graph, ContextId context);

// The calling thread's modes as a run found them; they are back when it ends, however it ends.
class ContextSwitch {
 public:
  ContextSwitch();
  ~ContextSwitch();
  ContextSwitch(const ContextSwitch&) = delete;
  ContextSwitch& operator=(const ContextSwitch&) = delete;

  // From the modes that were found, not from the last ones entered.
  void enter(const ContextSettings& settings);

 private:
  struct AutocastState {
    at::DeviceType device;
    bool enabled;
    at::ScalarType dtype;
  };

  void restore();
  void apply(const GradientSetting& setting);
  void apply(const AutocastSetting& setting);

  bool gradients_;
  bool autocast_cache_;
  bool nested_ = false;  // counted among those that use the autocast cache
  std::vector<AutocastState> changed_;
};

}  // namespace tenon
