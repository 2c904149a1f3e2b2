#include "check/layer_checks.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "check/child_findings.h"
#include "check/host_probe.h"
#include "check/scenarios.h"

namespace tenon {
namespace {

// In the child.
void run_scenario(const Scenario& scenario, const LayerUnderCheck& layer,
                  const std::function<TrialBase()>& make_base, const ChildChannel& channel) {
  at::set_num_threads(1);
  log::configure(log::Level::kError);
  HostProbe& probe = HostProbe::instance();
  Findings findings;
  try {
    TrialBase base = make_base();
    probe.tell(&channel);
    const TrialLayer trial(layer, std::move(base));
    scenario.run(trial, findings);
  } catch (const Error& error) {
    if (error.failure().stage == Stage::kConfig && !layer.given.explicit_keys.empty()) {
      send_record(channel, "settings", {error.failure().message});
    } else if (probe.refused()) {
      send_record(channel, "refused", {error.failure().message});
    } else if (probe.findings().empty()) {
      findings.push_back({scenario.rules.front(), RuleStatus::kFailed, error.failure().message});
    }
  }
  for (const Finding& finding : findings) send_finding(channel, finding);
}

// The findings of several scenarios, one for each rule: a failure says more than a pass, a pass
// more than nothing.
class Verdicts {
 public:
  void add(const Finding& finding) {
    const auto rank = [](RuleStatus status) {
      return status == RuleStatus::kFailed ? 2 : status == RuleStatus::kPassed ? 1 : 0;
    };
    const auto known = std::find_if(findings_.begin(), findings_.end(), [&](const Finding& other) {
      return other.rule == finding.rule;
    });
    if (known == findings_.end()) {
      findings_.push_back(finding);
    } else if (rank(finding.status) > rank(known->status)) {
      *known = finding;
    }
  }
  bool has(const std::string& rule) const {
    return std::any_of(findings_.begin(), findings_.end(),
                       [&](const Finding& finding) { return finding.rule == rule; });
  }
  bool failed() const { return has_failed(findings_); }

  // In the order of the rules; `otherwise` for those that nothing was found of.
  Findings complete(const std::function<Finding(const Rule&)>& otherwise) const {
    Findings all;
    for (const Rule& rule : all_rules()) {
      if (rule.scope != RuleScope::kLayer) continue;
      const auto known = std::find_if(findings_.begin(), findings_.end(),
                                      [&](const Finding& f) { return f.rule == rule.id; });
      all.push_back(known == findings_.end() ? otherwise(rule) : *known);
    }
    return all;
  }

 private:
  Findings findings_;
};

bool is_of_a_scenario(const Rule& rule) {
  const auto scenarios = all_scenarios();
  return std::any_of(scenarios.begin(), scenarios.end(), [&](const Scenario& scenario) {
    return std::find(scenario.rules.begin(), scenario.rules.end(), std::string(rule.id)) !=
           scenario.rules.end();
  });
}

// Why no more could be tried; no reason: all was.
struct Obstacle {
  std::string reason;
  bool is_refusal = false;  // the layer type refused the base
};

Obstacle try_scenarios(const LayerUnderCheck& layer, const MakeTrialBase& make_base,
                       std::chrono::milliseconds time_limit, Verdicts& verdicts) {
  constexpr std::size_t kFoundations = 3;
  const auto scenarios = all_scenarios();
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    const ChildOutcome outcome = run_in_child(
        [&](const ChildChannel& channel) { run_scenario(scenarios[i], layer, make_base, channel); },
        time_limit);
    for (const Finding& finding : findings_of(outcome)) verdicts.add(finding);
    if (outcome.end == ChildOutcome::End::kThrew) {
      verdicts.add({scenarios[i].rules.front(), RuleStatus::kFailed, outcome.error});
    }
    if (const auto misfits = records_of(outcome, "settings"); !misfits.empty()) {
      throw Error({.stage = Stage::kCommandLine,
                   .message = layer.id + " cannot be tried with --set: " + misfits[0][0]});
    }
    if (const auto refusals = records_of(outcome, "refused"); !refusals.empty()) {
      return {refusals[0][0], true};
    }
    if (i < kFoundations && verdicts.failed()) return {"what stands above must be right first"};
  }
  return {};
}

}  // namespace

Findings check_layer(const LayerUnderCheck& layer, const std::vector<MakeTrialBase>& bases,
                     std::chrono::milliseconds time_limit) {
  Verdicts verdicts;
  Obstacle obstacle;
  std::string refusal;
  for (const MakeTrialBase& make_base : bases) {
    verdicts = {};
    obstacle = try_scenarios(layer, make_base, time_limit, verdicts);
    if (!obstacle.is_refusal) break;
    if (refusal.empty()) refusal = obstacle.reason;
  }
  if (obstacle.is_refusal) {
    obstacle.reason = "it refuses the layers that the check has for it (" + refusal +
                      "); try other keys with --set KEY=VALUE, or give a layer with --model "
                      "FILE.pt2 --layer PATH";
  }
  Findings findings = verdicts.complete([&](const Rule& rule) -> Finding {
    if (obstacle.is_refusal || (is_of_a_scenario(rule) && !obstacle.reason.empty())) {
      return {rule.id, RuleStatus::kNotTried, obstacle.reason};
    }
    if (is_of_a_scenario(rule)) {
      return {rule.id, RuleStatus::kNotTried, "it broke another rule on the way"};
    }
    return {rule.id};
  });
  for (Finding& finding : findings) {
    finding.layer_type = layer.id;
    finding.base_type = layer.base_type;
  }
  return findings;
}

}  // namespace tenon
