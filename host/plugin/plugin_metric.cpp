#include "plugin/plugin_metric.h"

#include "plugin/host_table.h"
#include "plugin/objective_failure.h"
#include "plugin/plugin_registry.h"
#include "plugin/running_plugin.h"
#include "plugin/sized_struct.h"

namespace tenon {

PluginMetric::PluginMetric(const tenon_metric& table, const PluginInfo& plugin)
    : self_(&table),
      table_(read_sized(table)),
      plugin_(&plugin),
      options_(read_declarations(table_.options, table_.n_options)) {}

PluginMetric::Count::Count(const PluginMetric& metric, const OptionTable& options)
    : metric_(metric), setup_{options, {}, {}} {
  const RunningPlugin running(metric.table_.name, "start");
  tenon_error error;
  if (metric.table_.start(metric.self_, &host_table(), &setup_, &state_, &error) != TENON_OK) {
    throw_failure({"metric " + metric.name(), metric.plugin()}, "start", error);
  }
}

PluginMetric::Count::~Count() {
  const RunningPlugin running(metric_.table_.name, "release");
  metric_.table_.release(metric_.self_, &host_table(), state_);
}

void PluginMetric::Count::add(const at::Tensor& prediction, const at::Tensor& target) {
  const RunningPlugin running(metric_.table_.name, "add");
  tenon_error error;
  if (metric_.table_.add(metric_.self_, &host_table(), state_, to_handle(prediction),
                         to_handle(target), &error) != TENON_OK) {
    throw_failure({"metric " + metric_.name(), metric_.plugin()}, "add", error);
  }
}

double PluginMetric::Count::value() const {
  const RunningPlugin running(metric_.table_.name, "value");
  tenon_error error;
  double value = 0;
  if (metric_.table_.value(metric_.self_, &host_table(), state_, &value, &error) != TENON_OK) {
    throw_failure({"metric " + metric_.name(), metric_.plugin()}, "value", error);
  }
  return value;
}

}  // namespace tenon
