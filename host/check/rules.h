#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

// What `tenon plugin check` demands of a plugin.
namespace tenon {

// What a rule is tried on: the file, once; each base type of each layer type; each loss; each
// metric.
enum class RuleScope { kFile, kLayer, kLoss, kMetric };

struct Rule {
  const char* id;
  const char* sentence;  // what holds for a sound plugin
  const char* why;
  RuleScope scope;
};

// In the order they are tried and reported.
std::span<const Rule> all_rules();
// The id must be one of all_rules().
const Rule& find_rule(std::string_view id);

enum class RuleStatus { kPassed, kFailed, kNotTried };

// What became of one rule.
struct Finding {
  std::string rule;
  RuleStatus status = RuleStatus::kPassed;
  std::string detail = {};      // what was found, or why it could not be tried
  std::string layer_type = {};  // "acme.scale", or the loss's or metric's name
  std::string base_type = {};   // "*.MyScale"; "" of a loss or a metric
};

using Findings = std::vector<Finding>;

// The rule has passed if `fault` is "".
Finding judge(const char* rule, const std::string& fault);

bool has_failed(const Findings& findings);

// A finding for each rule of the scope that has none yet, so that a report is always whole.
void complete(Findings& findings, RuleScope scope, const std::string& reason);

}  // namespace tenon
