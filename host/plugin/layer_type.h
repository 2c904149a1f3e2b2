#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/layer.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "plugin/handles.h"

namespace tenon {

struct PluginInfo;

// One layer type of a loaded plugin, as the host calls it: statuses become Errors that name the
// layer type, the function and the module.
class LayerType {
 public:
  LayerType(const tenon_layer_type& table, const PluginInfo& plugin)
      : table_(&table), plugin_(&plugin) {}

  std::string id() const { return table_->id; }
  std::string method() const { return table_->method; }
  std::vector<std::string> base_types() const;  // base_types at ';'
  std::string title() const { return table_->title != nullptr ? table_->title : table_->id; }
  std::string doc() const { return table_->doc != nullptr ? table_->doc : ""; }
  int priority() const { return table_->priority; }
  const PluginInfo& plugin() const { return *plugin_; }

  bool has_forward() const { return table_->forward != nullptr; }
  bool can_merge() const { return table_->merged_weight != nullptr; }

  // Throws Error{kInjection} if the layer type refuses this base or these options.
  void validate(const LayerFacts& base, const tenon_setup& setup) const;
  // The parameters of one adapter, in the plugin's order.
  std::vector<ParameterSpec> declare(const LayerFacts& base, OptionTable options) const;
  // n_outputs of the call, defined tensors. Throws Error{kPlugins}.
  std::vector<at::Tensor> forward(const LayerFacts& base, const tenon_call& call) const;
  // Undefined if the adapters do not touch that weight.
  at::Tensor merged_weight(const LayerFacts& base, const tenon_call& call,
                           std::uint32_t weight) const;

 private:
  [[noreturn]] void fail(Stage stage, const LayerFacts& base, const char* function,
                         const tenon_error& error) const;

  const tenon_layer_type* table_;
  const PluginInfo* plugin_;
};

}  // namespace tenon
