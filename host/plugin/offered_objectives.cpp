#include "plugin/offered_objectives.h"

#include <set>
#include <tenon/cpp/names.hpp>

#include "base/printable.h"
#include "plugin/option_faults.h"
#include "plugin/running_plugin.h"
#include "plugin/sized_struct.h"

namespace tenon {
namespace {

const void* extension_of(const tenon_plugin& plugin, const char* id) {
  if (plugin.extension == nullptr) return nullptr;
  const RunningPlugin running(plugin.id, "extension");
  return plugin.extension(&plugin, id);
}

// What a loss and a metric have in common.
template <typename T>
std::string find_fault(const T* table, const std::string& kind, std::set<std::string>& names) {
  if (table == nullptr || table->struct_size < sizeof(T)) return kind + " is missing or too small";
  const T read = read_sized(*table);
  if (read.name == nullptr || !names::is_id(read.name)) {
    return kind + "'s name " +
           (read.name == nullptr ? "is missing"
                                 : "`" + printable_excerpt(read.name, 80) +
                                       "` is not lower case letters and digits, joined by . - or "
                                       "_, with one dot at least");
  }
  const std::string name = read.name;
  if (!names.insert(name).second) return "it has two of the name `" + name + "`";
  if (read.doc != nullptr && !names::is_line(read.doc)) return name + ": its doc is not one line";
  if (read.judged > TENON_JUDGED_NONE) {
    return name + " judges something that this Tenon does not know";
  }
  if (const auto problem = check_declarations(read.options, read.n_options)) {
    return name + ": " + *problem;
  }
  return "";
}

std::string find_loss_fault(const tenon_loss* table, std::set<std::string>& names) {
  std::string fault = find_fault(table, "a loss", names);
  if (fault.empty() && table->loss == nullptr) fault = std::string(table->name) + " has no loss";
  return fault;
}

std::string find_metric_fault(const tenon_metric* table, std::set<std::string>& names) {
  std::string fault = find_fault(table, "a metric", names);
  if (!fault.empty()) return fault;
  const std::string name = table->name;
  if ((table->flags & ~static_cast<tenon_metric_flags>(TENON_METRIC_GREATER_IS_BETTER)) != 0) {
    return name + " has flags that this Tenon does not know";
  }
  if (table->judged != TENON_JUDGED_CLASSES && table->judged != TENON_JUDGED_NUMBERS) {
    return name + " judges neither classes nor numbers";
  }
  if (table->start == nullptr || table->add == nullptr || table->value == nullptr ||
      table->release == nullptr) {
    return name + " has not all of start, add, value and release";
  }
  return "";
}

}  // namespace

std::span<const tenon_loss* const> losses_of(const tenon_plugin& plugin) {
  const auto* table = static_cast<const tenon_losses*>(extension_of(plugin, TENON_LOSSES));
  if (table == nullptr) return {};
  return {table->losses, table->n_losses};
}

std::span<const tenon_metric* const> metrics_of(const tenon_plugin& plugin) {
  const auto* table = static_cast<const tenon_metrics*>(extension_of(plugin, TENON_METRICS));
  if (table == nullptr) return {};
  return {table->metrics, table->n_metrics};
}

std::string find_objective_fault(const tenon_plugin& plugin, const tenon_stamp& stamp) {
  const auto losses = losses_of(plugin);
  const auto metrics = metrics_of(plugin);
  if (((stamp.kind & TENON_STAMP_LOSSES) != 0) != !losses.empty() ||
      ((stamp.kind & TENON_STAMP_METRICS) != 0) != !metrics.empty()) {
    return "it offers other losses and metrics than its stamp says";
  }
  std::set<std::string> loss_names;
  for (const tenon_loss* loss : losses) {
    if (std::string fault = find_loss_fault(loss, loss_names); !fault.empty()) return fault;
  }
  std::set<std::string> metric_names;
  for (const tenon_metric* metric : metrics) {
    if (std::string fault = find_metric_fault(metric, metric_names); !fault.empty()) return fault;
  }
  return "";
}

}  // namespace tenon
