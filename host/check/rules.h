#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

// What `tenon plugin check` demands of a plugin.
namespace tenon {

struct Rule {
  const char* id;
  const char* sentence;  // what holds for a sound plugin
  const char* why;
  bool per_layer;  // tried on each base type of each layer type; else once for the file
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
  std::string layer_type = {};  // of a rule per layer: "acme.lora-scale"
  std::string base_type = {};   // "*.MyScale"
};

using Findings = std::vector<Finding>;

// The rule has passed if `fault` is "".
Finding judge(const char* rule, const std::string& fault);

bool has_failed(const Findings& findings);

}  // namespace tenon
