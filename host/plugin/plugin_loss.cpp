#include "plugin/plugin_loss.h"

#include <c10/util/Exception.h>

#include "plugin/host_table.h"
#include "plugin/objective_failure.h"
#include "plugin/plugin_registry.h"
#include "plugin/running_plugin.h"
#include "plugin/sized_struct.h"

namespace tenon {

PluginLoss::PluginLoss(const tenon_loss& table, const PluginInfo& plugin)
    : self_(&table),
      table_(read_sized(table)),
      plugin_(&plugin),
      options_(read_declarations(table_.options, table_.n_options)) {}

void PluginLoss::validate(const OptionTable& options) const {
  if (table_.validate == nullptr) return;
  const RunningPlugin running(table_.name, "validate");
  const tenon_setup setup{options, {}, {}};
  tenon_error error;
  if (table_.validate(self_, &host_table(), &setup, &error) != TENON_OK) {
    throw_failure({"loss " + name(), *plugin_}, "validate", error);
  }
}

at::Tensor PluginLoss::compute(const LossBatch& batch, const OptionTable& options) const {
  const ObjectiveCall call{"loss " + name(), *plugin_};
  const RunningPlugin running(table_.name, "loss");
  const tenon_setup setup{options, {}, {}};
  const auto handle = [](const at::Tensor& tensor) {
    return tensor.defined() ? to_handle(tensor) : nullptr;
  };
  std::vector<tenon_tensor> outputs;
  for (const at::Tensor& output : batch.outputs) outputs.push_back(to_handle(output));
  tenon_loss_batch seen{};
  seen.struct_size = sizeof seen;
  seen.setup = &setup;
  seen.n_outputs = static_cast<std::uint32_t>(outputs.size());
  seen.outputs = outputs.data();
  seen.prediction = to_handle(batch.prediction);
  seen.target = handle(batch.target);
  seen.weights = handle(batch.weights);
  tenon_error error;
  tenon_tensor owned = nullptr;
  const tenon_status status = table_.loss(self_, &host_table(), &seen, &owned, &error);
  at::Tensor loss = take_handle(owned);
  if (status != TENON_OK) throw_failure(call, "loss", error);
  if (!loss.defined()) throw_bug(call, "it gives no tensor");
  if (loss.numel() != 1 || !loss.is_floating_point()) {
    throw_bug(call, "it gives " + c10::str(loss.scalar_type(), " of shape ", loss.sizes()) +
                        ", where a loss is one floating number");
  }
  return loss.reshape({});
}

}  // namespace tenon
