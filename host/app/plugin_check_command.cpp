#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "base/error.h"
#include "check/plugin_check.h"
#include "config/adapter_keys.h"

namespace tenon {
namespace {

using Json = nlohmann::ordered_json;

const char* status_name(RuleStatus status) {
  switch (status) {
    case RuleStatus::kPassed:
      return "passed";
    case RuleStatus::kFailed:
      return "failed";
    case RuleStatus::kNotTried:
      break;
  }
  return "not tried";
}

Json report_json(const CheckReport& report) {
  const auto text = [](const std::string& value) { return value.empty() ? Json() : Json(value); };
  Json rules = Json::array();
  for (const Finding& finding : report.findings) {
    const Rule& rule = find_rule(finding.rule);
    rules.push_back({{"id", finding.rule},
                     {"sentence", rule.sentence},
                     {"why", rule.why},
                     {"layer_type", text(finding.layer_type)},
                     {"type", text(finding.base_type)},
                     {"status", status_name(finding.status)},
                     {"detail", text(finding.detail)}});
  }
  return {{"path", report.path.string()},
          {"id", text(report.facts.id)},
          {"version", text(report.facts.version)},
          {"abi", text(report.facts.abi)},
          {"sdk_version", text(report.facts.sdk_version)},
          {"ok", report.ok()},
          {"rules", rules}};
}

void print_finding(const Finding& finding) {
  constexpr int kStatusWidth = 11;
  constexpr int kIdWidth = 24;
  const Rule& rule = find_rule(finding.rule);
  const std::string indent(2 + kStatusWidth + kIdWidth, ' ');
  std::cout << "  " << std::left << std::setw(kStatusWidth) << status_name(finding.status)
            << std::setw(kIdWidth) << finding.rule << rule.sentence << "\n";
  if (!finding.detail.empty()) std::cout << indent << finding.detail << "\n";
  if (finding.status == RuleStatus::kFailed) std::cout << indent << "Why: " << rule.why << "\n";
}

// The rules of the file first, then those of each layer type on each base type.
void print_report(const CheckReport& report) {
  std::cout << report.path.string();
  if (!report.facts.id.empty()) {
    std::cout << ": " << report.facts.id << " " << report.facts.version << ", plugin ABI "
              << report.facts.abi << ", SDK " << report.facts.sdk_version;
  }
  std::cout << "\n";
  std::string part;
  for (const Finding& finding : report.findings) {
    const std::string its_part =
        finding.layer_type + (finding.base_type.empty() ? "" : " on " + finding.base_type);
    if (its_part != part) std::cout << "\n" << its_part << "\n";
    part = its_part;
    print_finding(finding);
  }
  const auto count = [&](RuleStatus status) {
    return std::count_if(report.findings.begin(), report.findings.end(),
                         [&](const Finding& finding) { return finding.status == status; });
  };
  std::cout << "\n"
            << count(RuleStatus::kPassed) << " passed, " << count(RuleStatus::kFailed)
            << " failed, " << count(RuleStatus::kNotTried) << " not tried\n";
  if (!report.tried_nothing()) return;
  std::cout << "nothing that it offers could be tried, so that the check says nothing of it\n";
}

}  // namespace

bool plugin_check_command(const CommandLine& line) {
  CheckOptions options;
  options.model = line.plugin_check.model;
  options.layer = line.plugin_check.layer;
  options.device = line.plugin_check.device;
  options.time_limit = std::chrono::milliseconds(std::lround(line.plugin_check.seconds * 1000));
  options.given = read_adapter_keys(line.plugin_check.set);
  if (options.model.empty() != options.layer.empty()) {
    throw Error({.stage = Stage::kCommandLine,
                 .message = "--model and --layer go together: a model and the layer to try on"});
  }
  const CheckReport report = check_plugin(line.target, options);
  if (line.json) {
    std::cout << report_json(report).dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  } else {
    print_report(report);
  }
  return report.ok();
}

}  // namespace tenon
