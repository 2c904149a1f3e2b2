#pragma once

#include <ATen/core/Tensor.h>
#include <tenon/draft/metrics.h>

#include <memory>
#include <string>
#include <vector>

#include "plugin/declared_options.h"
#include "plugin/handles.h"

namespace tenon {

struct PluginInfo;

// One metric of a loaded plugin.
class PluginMetric {
 public:
  PluginMetric(const tenon_metric& table, const PluginInfo& plugin);

  std::string name() const { return table_.name; }
  std::string doc() const { return table_.doc != nullptr ? table_.doc : ""; }
  tenon_judged judged() const { return table_.judged; }
  bool greater_is_better() const { return (table_.flags & TENON_METRIC_GREATER_IS_BETTER) != 0; }
  const std::vector<DeclaredOption>& options() const { return options_; }
  const PluginInfo& plugin() const { return *plugin_; }

  // What one evaluation counts in. Borrows the metric.
  class Count {
   public:
    // `options` are complete. Throw Error{kTraining} with the plugin's reason, as all here.
    Count(const PluginMetric& metric, const OptionTable& options);
    ~Count();
    Count(const Count&) = delete;
    Count& operator=(const Count&) = delete;
    void add(const at::Tensor& prediction, const at::Tensor& target);
    double value() const;

   private:
    const PluginMetric& metric_;
    tenon_setup setup_;
    void* state_ = nullptr;
  };

 private:
  const tenon_metric* self_;  // the plugin's own
  tenon_metric table_;        // what this host knows of it
  const PluginInfo* plugin_;
  std::vector<DeclaredOption> options_;
};

}  // namespace tenon
