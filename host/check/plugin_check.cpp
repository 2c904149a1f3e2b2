#include "check/plugin_check.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "check/child_findings.h"
#include "check/layer_checks.h"
#include "check/objective_checks.h"
#include "check/process_facts.h"
#include "check/trial_base.h"
#include "plugin/offered_objectives.h"
#include "plugin/plugin_library.h"
#include "plugin/plugin_registry.h"
#include "plugin/plugin_trust.h"

namespace tenon {
namespace fs = std::filesystem;
namespace {

// A layer type that the plugin offers, as the child that opened it tells.
struct OfferedLayer {
  std::string id;
  std::string method;
  std::vector<std::string> base_types;
};

Finding failed(const char* rule, const std::string& detail) {
  return {rule, RuleStatus::kFailed, detail};
}

// Which rule a refusal of load_library breaks.
const char* rule_of(const PluginRefusal& refusal) {
  if (refusal.rule.starts_with("init-"))
    return refusal.rule == "init-throws" ? "no-exceptions" : "init";
  return refusal.rule == "cannot-load" || refusal.rule == "unreadable" ? "loads" : "table";
}

std::vector<std::string> split(const std::string& list, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(list);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// In the child: opens the file as the host does, and tells what is in it.
void open_plugin(const ChildChannel& channel, const fs::path& file) {
  channel.step("it was opened and initialised");
  at::set_num_threads(1);
  const std::size_t threads = thread_count();
  const auto result = load_library(file, {});
  if (const auto* refusal = std::get_if<PluginRefusal>(&result)) {
    send_finding(channel, failed(rule_of(*refusal), refusal->reason));
    return;
  }
  const tenon_plugin& plugin = std::get<LoadedLibrary>(result).plugin;
  send_finding(channel, {"loads"});
  if (std::get<LoadedLibrary>(result).models != nullptr) {  // with a table of its own kind
    send_finding(channel, {"table"});
    send_finding(channel, {"init"});
    return;
  }
  send_finding(channel, {"table"});
  send_finding(channel, {"init"});
  if (thread_count() != threads) {
    send_finding(channel, failed("no-threads", "opening it started a thread"));
  } else if (has_children()) {
    send_finding(channel, failed("no-threads", "opening it started a process"));
  }
  for (std::uint32_t i = 0; i < plugin.n_layer_types; ++i) {
    const tenon_layer_type& type = *plugin.layer_types[i];
    send_record(channel, "layer", {type.id, type.method, type.base_types});
  }
  for (const tenon_loss* loss : losses_of(plugin)) send_record(channel, "loss", {loss->name});
  for (const tenon_metric* metric : metrics_of(plugin)) {
    send_record(channel, "metric", {metric->name});
  }
}

std::vector<OfferedLayer> layers_of(const ChildOutcome& outcome) {
  std::vector<OfferedLayer> layers;
  for (const auto& fields : records_of(outcome, "layer")) {
    layers.push_back({fields[0], fields[1], split(fields[2], ';')});
  }
  return layers;
}

void append(Findings& all, Findings more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

// Every rule per layer of a layer type that there is nothing to try on.
Findings nothing_to_try_on(const OfferedLayer& layer, const std::string& type,
                           const std::string& reason) {
  Findings findings;
  complete(findings, RuleScope::kLayer, reason);
  for (Finding& finding : findings) {
    finding.layer_type = layer.id;
    finding.base_type = type;
  }
  return findings;
}

// The type of the layer that the user gave; "" if none was given. In a child, since the model is
// run to find the tensors that reach the layer.
std::string given_type(const CheckOptions& options) {
  if (options.model.empty()) return "";
  const ChildOutcome outcome = run_in_child(
      [&](const ChildChannel& channel) {
        const TrialBase trial = cut_trial(options.model, options.layer);
        const Module& module = trial.model.tree.at(trial.model.tree.find(trial.layer));
        send_record(channel, "type", {module.type});
      },
      options.time_limit);
  const auto types = records_of(outcome, "type");
  if (types.empty()) {
    throw Error(
        {.stage = Stage::kModel, .message = outcome.death(), .location = options.model.string()});
  }
  return types[0][0];
}

// The layer type on each of its base types that there is a layer of: the one of the user's model,
// or one that the check can declare.
Findings check_offered(const OfferedLayer& layer, const fs::path& file, const std::string& given,
                       const CheckOptions& options) {
  const std::string how = "; give one with --model FILE.pt2 --layer PATH";
  Findings findings;
  for (const std::string& type : layer.base_types) {
    if (!given.empty() && !serves(type, given)) {
      append(findings, nothing_to_try_on(layer, type, options.layer + " is a " + given));
    } else if (!given.empty()) {
      append(findings,
             check_layer({file, layer.id, layer.method, type, options.given, options.device},
                         {[&] { return cut_trial(options.model, options.layer); }},
                         options.time_limit));
    } else if (can_declare_trial(type)) {
      append(findings,
             check_layer({file, layer.id, layer.method, type, options.given, options.device},
                         {[&] { return *declare_trial(type, TrialSize::kSmall); },
                          [&] { return *declare_trial(type, TrialSize::kWide); }},
                         options.time_limit));
    } else {
      append(findings, nothing_to_try_on(layer, type, "the check has no model of this type" + how));
    }
  }
  return findings;
}

}  // namespace

bool CheckReport::tried_nothing() const {
  const auto is_of_a_part = [](const Finding& finding) { return !finding.layer_type.empty(); };
  return std::ranges::any_of(findings, is_of_a_part) &&
         std::ranges::none_of(findings, [&](const Finding& finding) {
           return is_of_a_part(finding) && finding.status != RuleStatus::kNotTried;
         });
}

CheckReport check_plugin(const fs::path& file, const CheckOptions& options) {
  CheckReport report;
  report.path = fs::absolute(file).lexically_normal();
  {
    const MappedFile bytes(report.path, Stage::kPlugins);
    report.findings = check_file(bytes.bytes(), report.facts);
  }
  bool group_writable = false;
  const auto distrust = check_trust(report.path, group_writable);
  report.findings.push_back(distrust ? failed("trust", distrust->reason) : Finding{"trust"});
  if (report.facts.id.empty()) {
    complete(report.findings, RuleScope::kFile, "the host would not open the file");
    return report;
  }
  const ChildOutcome opened = run_in_child(
      [&](const ChildChannel& channel) { open_plugin(channel, report.path); }, options.time_limit);
  append(report.findings, findings_of(opened));
  complete(report.findings, RuleScope::kFile, "the plugin could not be opened");
  const std::string given = given_type(options);
  for (const OfferedLayer& layer : layers_of(opened)) {
    append(report.findings, check_offered(layer, report.path, given, options));
  }
  for (const auto& loss : records_of(opened, "loss")) {
    append(report.findings, check_loss(report.path, loss[0], options.time_limit));
  }
  for (const auto& metric : records_of(opened, "metric")) {
    append(report.findings, check_metric(report.path, metric[0], options.time_limit));
  }
  return report;
}

}  // namespace tenon
