#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/draft/losses.h>

#include <string>
#include <vector>

#include "plugin/declared_options.h"
#include "plugin/handles.h"

namespace tenon {

struct PluginInfo;

// What a loss judges of one batch; see tenon_loss_batch.
struct LossBatch {
  const std::vector<at::Tensor>& outputs;
  at::Tensor prediction;
  at::Tensor target;   // undefined: none
  at::Tensor weights;  // of the prediction's rows; undefined: all count alike
};

// One loss of a loaded plugin.
class PluginLoss {
 public:
  PluginLoss(const tenon_loss& table, const PluginInfo& plugin);

  std::string name() const { return table_.name; }
  std::string doc() const { return table_.doc != nullptr ? table_.doc : ""; }
  tenon_judged judged() const { return table_.judged; }
  const std::vector<DeclaredOption>& options() const { return options_; }
  const PluginInfo& plugin() const { return *plugin_; }

  // `options` are complete. Throw Error{kTraining} with the plugin's reason.
  void validate(const OptionTable& options) const;
  at::Tensor compute(const LossBatch& batch, const OptionTable& options) const;

 private:
  const tenon_loss* self_;  // the plugin's own
  tenon_loss table_;        // what this host knows of it
  const PluginInfo* plugin_;
  std::vector<DeclaredOption> options_;
};

}  // namespace tenon
