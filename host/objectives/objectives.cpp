#include "objectives/objectives.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/suggest.h"
#include "config/loss_keys.h"
#include "objectives/loss_kind.h"
#include "objectives/metrics.h"
#include "plugin/option_completion.h"

namespace tenon {
namespace {

template <typename T>
std::vector<std::string> names_of(const std::vector<const T*>& offered,
                                  std::vector<std::string> names) {
  for (const T* each : offered) names.push_back(each->name());
  return names;
}

// What is wrong, a line each.
class Faults {
 public:
  explicit Faults(std::string location) : location_(std::move(location)) {}
  void add(const std::string& text) { texts_.push_back(text); }
  void throw_if_any() const {
    if (texts_.empty()) return;
    throw Error({.stage = Stage::kConfig, .message = join(texts_, "\n"), .location = location_});
  }

 private:
  std::string location_;
  std::vector<std::string> texts_;
};

// The declared options as given; what does not fit, and what is not declared, is a fault.
OptionTable complete(const std::vector<DeclaredOption>& declared, const OptionTable& given,
                     const std::string& table, const std::string& whose, Faults& faults) {
  std::vector<OptionProblem> problems;
  OptionTable options = complete_options(declared, given, problems);
  for (const auto& [key, value] : given) {
    if (is_option_key(declared, key)) continue;
    const std::vector<std::string> known = option_keys(declared);
    const std::string near = did_you_mean(key, known);
    problems.push_back({key, "is no option of " + whose + "; " +
                                 (!near.empty()   ? near
                                  : known.empty() ? "it has none"
                                                  : "its options are " + join(known))});
  }
  for (const OptionProblem& problem : problems) {
    faults.add("`" + table + "." + problem.key + "` " + problem.text);
  }
  return options;
}

std::shared_ptr<const BoundLoss> find_loss(LossTerm& term, const PluginRegistry& plugins,
                                           Faults& faults) {
  if (!is_plugin_loss(term.loss)) {
    if (!term.loss_options.empty()) {
      faults.add("`train.loss_options` are of a plugin's loss, but the loss is " + term.loss);
    }
    return nullptr;
  }
  const PluginLoss* loss = plugins.find_loss(term.loss);
  if (loss == nullptr) {
    const std::vector<std::string> known = names_of(plugins.losses(), loss_names());
    const std::string near = did_you_mean(term.loss, known);
    faults.add("[train] loss is `" + term.loss + "`, which no plugin that is here offers; " +
               (near.empty() ? "there are " + join(known) : near));
    return nullptr;
  }
  term.judges = target_kind_of(loss->judged());
  return std::make_shared<BoundLoss>(BoundLoss{
      loss, complete(loss->options(), term.loss_options, "train.loss_options", term.loss, faults)});
}

// [train.metric_options."acme.hits"].
OptionTable options_given(const TrainConfig& config, const std::string& metric) {
  OptionTable given;
  const auto found = config.metric_options.find(metric);
  if (found == config.metric_options.end()) return given;
  const auto* entries = std::get_if<OptionEntries>(&found->second);
  for (std::size_t i = 0; entries != nullptr && i < entries->items.size(); ++i) {
    given[entries->items[i].key] = entries->items[i].value;
  }
  return given;
}

void find_metrics(TrainConfig& config, const PluginRegistry& plugins, Objectives& found,
                  Faults& faults) {
  for (const std::string& name : config.metrics) {
    if (name.find('.') == std::string::npos) continue;
    const PluginMetric* metric = plugins.find_metric(name);
    if (metric == nullptr) {
      const std::vector<std::string> known = names_of(plugins.metrics(), metric_names());
      const std::string near = did_you_mean(name, known);
      faults.add("[train] metrics has `" + name + "`, which no plugin that is here offers; " +
                 (near.empty() ? "there are " + join(known) : near));
      continue;
    }
    const std::string table = "train.metric_options.\"" + name + "\"";
    found.metrics[name] = std::make_shared<BoundMetric>(BoundMetric{
        metric, complete(metric->options(), options_given(config, name), table, name, faults)});
    if (config.metric_for_best_model == name || config.metric_for_best_model == "eval_" + name) {
      config.greater_is_better = config.greater_is_better.value_or(metric->greater_is_better());
    }
  }
  for (const auto& [name, options] : config.metric_options) {
    if (!found.metrics.contains(name)) {
      faults.add("`train.metric_options.\"" + name +
                 "\"` is of no plugin's metric in [train] "
                 "metrics");
    }
  }
}

}  // namespace

std::vector<const PluginInfo*> plugins_of(const Objectives& objectives) {
  std::vector<const PluginInfo*> plugins;
  for (const auto& loss : objectives.losses) {
    if (loss) plugins.push_back(&loss->loss->plugin());
  }
  for (const auto& [name, metric] : objectives.metrics) {
    plugins.push_back(&metric->metric->plugin());
  }
  return plugins;
}

TargetKind target_kind_of(tenon_judged judged) {
  switch (judged) {
    case TENON_JUDGED_CLASSES:
      return TargetKind::kClasses;
    case TENON_JUDGED_NUMBERS:
      return TargetKind::kNumbers;
    case TENON_JUDGED_NONE:
      return TargetKind::kNone;
    default:
      return TargetKind::kAny;
  }
}

Objectives find_objectives(TrainConfig& config, const PluginRegistry& plugins) {
  Objectives found;
  Faults faults(config.location);
  found.losses.push_back(find_loss(config, plugins, faults));
  for (LossTerm& term : config.other_losses) {
    found.losses.push_back(find_loss(term, plugins, faults));
  }
  find_metrics(config, plugins, found, faults);
  faults.throw_if_any();
  for (const auto& loss : found.losses) {
    if (loss) loss->loss->validate(loss->options);
  }
  return found;
}

}  // namespace tenon
