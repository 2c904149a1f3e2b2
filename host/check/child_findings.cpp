#include "check/child_findings.h"

#include <sstream>

namespace tenon {
namespace {

constexpr char kSeparator = '\x1f';  // ASCII's unit separator

const char* rule_of(ChildOutcome::End end) {
  return end == ChildOutcome::End::kTimeout ? "in-time" : "no-crash";
}

}  // namespace

void send_record(const ChildChannel& channel, const std::string& kind,
                 const std::vector<std::string>& fields) {
  std::string text = kind;
  for (const std::string& field : fields) text += kSeparator + field;
  channel.send(text + kSeparator);
}

std::vector<std::vector<std::string>> records_of(const ChildOutcome& outcome,
                                                 std::string_view kind) {
  std::vector<std::vector<std::string>> records;
  for (const std::string& text : outcome.results) {
    std::istringstream stream(text);
    std::string field;
    std::getline(stream, field, kSeparator);
    if (field != kind) continue;
    auto& fields = records.emplace_back();
    while (std::getline(stream, field, kSeparator)) fields.push_back(field);
  }
  return records;
}

void send_finding(const ChildChannel& channel, const Finding& finding) {
  send_record(channel, "finding",
              {finding.rule, std::to_string(static_cast<int>(finding.status)), finding.detail});
}

Findings findings_of(const ChildOutcome& outcome) {
  Findings findings;
  for (const auto& fields : records_of(outcome, "finding")) {
    findings.push_back({fields[0], static_cast<RuleStatus>(std::stoi(fields[1])), fields[2]});
  }
  if (outcome.end == ChildOutcome::End::kSignal || outcome.end == ChildOutcome::End::kExit ||
      outcome.end == ChildOutcome::End::kTimeout) {
    findings.push_back({rule_of(outcome.end), RuleStatus::kFailed, outcome.death()});
  }
  if (!outcome.left_changed.empty()) {
    findings.push_back({"leaves-process", RuleStatus::kFailed, outcome.left_changed});
  }
  if (outcome.wrote_to_stdout) {
    findings.push_back(
        {"quiet", RuleStatus::kFailed,
         "it wrote to standard output; log through the host instead (tenon_host.log)"});
  }
  return findings;
}

}  // namespace tenon
