#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/draft/groups.h>
#include <tenon/ext/mergeable.h>
#include <tenon/ext/siblings.h>
#include <tenon/layer_type.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plugin/declared_options.h"
#include "plugin/factors.h"
#include "plugin/handles.h"
#include "plugin/plugin_failure.h"

namespace tenon {

struct PluginInfo;

// One layer type of a loaded plugin, as the host calls it: statuses become Errors that name the
// layer type, the function and the module.
class LayerType {
 public:
  LayerType(const tenon_layer_type& table, const PluginInfo& plugin);

  std::string id() const { return table_.id; }
  std::string method() const { return table_.method; }
  std::vector<std::string> base_types() const;  // base_types at ';'
  std::string title() const { return table_.title != nullptr ? table_.title : table_.id; }
  std::string doc() const { return table_.doc != nullptr ? table_.doc : ""; }
  int priority() const { return table_.priority; }
  const PluginInfo& plugin() const { return *plugin_; }
  const std::vector<DeclaredOption>& options() const { return options_; }

  bool has_forward() const { return table_.forward != nullptr; }
  // Whether forward heeds tenon_adapter.rows.
  bool heeds_rows() const { return (table_.flags & TENON_LAYER_ROWS) != 0; }
  // Whether its outputs may have other sizes than the base's.
  bool resizes() const { return (table_.flags & TENON_LAYER_RESIZES) != 0; }
  // Whether it takes bases that do more than the operator that they are adapted as.
  bool takes_beside() const { return (table_.flags & TENON_LAYER_BESIDE) != 0; }
  // The pair that its adapters are; nullptr: they are something else.
  const FactorForm* factors() const { return factors_ ? &*factors_ : nullptr; }
  bool can_merge() const { return table_.merged_weight != nullptr; }

  // The parameters of one adapter, in the plugin's order. Throws Error{kInjection} if the layer
  // type refuses this base or these options.
  std::vector<ParameterSpec> declare(const LayerFacts& base, tenon_setup& setup) const;
  // Why adapters of this layer cannot be merged; "" if they can. After declare, with its setup.
  std::string merge_obstacle(const LayerFacts& base, const tenon_setup& setup) const;
  // How optimizers that treat parameters differently treat this one; an ordinary one where the
  // plugin does not say. After declare, with its setup.
  struct Grouped {
    bool is_told = false;  // by the plugin
    tenon_group group{};
  };
  Grouped group(const LayerFacts& base, const tenon_setup& setup, std::uint32_t parameter) const;
  // The plugin's own state for one adapter, released with the last copy; null if it has none.
  std::shared_ptr<void> prepare(std::shared_ptr<const LayerFacts> base,
                                const tenon_setup& setup) const;
  // What the parameters and the base's weights are to start as; undefined where they stay.
  struct Started {
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> weights;
  };
  Started initialise(const LayerFacts& base, const tenon_setup& setup, tenon_start start) const;
  // n_outputs of the call, defined tensors. Throws Error{kPlugins}.
  std::vector<at::Tensor> forward(const LayerFacts& base, const tenon_call& call) const;
  // Whether layers of this type that read one tensor can be run by one call.
  bool has_siblings() const { return siblings_ != nullptr; }
  // One output for each of several such calls; calls[i] belongs to bases[i].
  std::vector<at::Tensor> forward_siblings(std::span<const LayerFacts* const> bases,
                                           std::span<const tenon_call* const> calls) const;
  // Undefined if the adapters do not touch that weight.
  at::Tensor merged_weight(const LayerFacts& base, const tenon_call& call,
                           std::uint32_t weight) const;

 private:
  PluginCall at(Stage stage, const LayerFacts& base, const char* function) const {
    return {stage, base, *plugin_, function};
  }

  const tenon_layer_type* self_;  // the plugin's own
  tenon_layer_type table_;        // what this host knows of it
  const PluginInfo* plugin_;
  std::vector<DeclaredOption> options_;
  const tenon_siblings* siblings_ = nullptr;
  const tenon_mergeable* mergeable_ = nullptr;
  const tenon_groups* groups_ = nullptr;
  std::optional<FactorForm> factors_;
};

}  // namespace tenon
