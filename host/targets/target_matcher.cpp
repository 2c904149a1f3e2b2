#include "targets/target_matcher.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/suggest.h"
#include "targets/module_names.h"
#include "targets/rule_matcher.h"

namespace tenon {
namespace {

std::string quoted(const std::string& name) { return "`" + name + "`"; }

bool lies_in_any(const std::string& path, const std::vector<std::string>& modules) {
  return std::any_of(modules.begin(), modules.end(),
                     [&](const std::string& module) { return lies_in(path, module); });
}

// Collects what is wrong, and what may pass: a saved adapter's names need not all be in the model,
// since its tensors tell what was adapted.
class Findings {
 public:
  Findings(const AdapterConfig& config, std::vector<std::string>& notes)
      : config_(config), notes_(notes) {}

  void add(const std::string& key, const std::vector<std::string>& sentences) {
    auto& told = config_.optional_keys.contains(key) ? notes_ : problems_;
    told.insert(told.end(), sentences.begin(), sentences.end());
  }
  void add_problem(std::string sentence) { problems_.push_back(std::move(sentence)); }
  void add_notes(const std::vector<std::string>& sentences) {
    notes_.insert(notes_.end(), sentences.begin(), sentences.end());
  }
  bool empty() const { return problems_.empty(); }

  void throw_if_any() const {
    if (problems_.empty()) return;
    throw Error({.stage = Stage::kInjection,
                 .message = problems_.size() == 1 ? problems_.front()
                                                  : "the adapter does not fit the model:\n  - " +
                                                        join(problems_, "\n  - "),
                 .hint = "`tenon tree` lists the model's modules",
                 .location = config_.location});
  }

 private:
  const AdapterConfig& config_;
  std::vector<std::string>& notes_;
  std::vector<std::string> problems_;
};

// PEFT takes every path that ends with an entry, so that its files have the tensors of all these.
std::vector<std::string> saved_entries(const AdapterConfig& config,
                                       const std::vector<std::string>& paths) {
  if (!config.optional_keys.contains("modules_to_save")) return config.modules_to_save;
  std::vector<std::string> entries;
  for (const std::string& entry : config.modules_to_save) {
    const auto ends_so = [&](const std::string& path) {
      return path.ends_with(entry) && !config.not_saved.contains(path);
    };
    std::ranges::copy_if(paths, std::back_inserter(entries), ends_so);
    if (std::ranges::none_of(paths, ends_so)) entries.push_back(entry);
  }
  return entries;
}

// Rules about target_modules where only target_parameters are named.
std::vector<std::string> rules_of_no_targets(const AdapterConfig& config, bool has_excluded) {
  std::vector<std::string> problems;
  if (config.target_parameters.empty()) return problems;
  const std::string why = " is about target_modules, which names nothing here; ";
  if (has_excluded) {
    problems.push_back("exclude_modules" + why + "name the wanted ones in target_parameters");
  }
  if (!config.layers_to_transform.empty()) {
    problems.push_back("layers_to_transform" + why + "name the wanted ones in target_parameters");
  }
  return problems;
}

// What matches something and changes nothing.
std::vector<std::string> idle_rules(const AdapterConfig& config, const LayerFilter& filter,
                                    const std::vector<std::string>& targeted,
                                    bool has_idle_exclusion) {
  std::vector<std::string> notes;
  if (has_idle_exclusion) {
    notes.emplace_back(
        "exclude_modules leaves nothing out: target_modules means none of what it matches");
  }
  for (const std::int64_t layer : config.layers_to_transform) {
    const bool is_used = std::ranges::any_of(
        targeted, [&](const std::string& path) { return filter.layer_of(path) == layer; });
    if (is_used) continue;
    notes.push_back("`" + std::to_string(layer) +
                    "` in layers_to_transform is the number of no targeted layer");
  }
  return notes;
}

// Why no module is left, where every rule matched something.
std::string why_nothing(bool has_targets, bool excluded, bool saved) {
  if (!has_targets) return "target_modules is missing: it names the layers to adapt";
  const std::string all = "every module that target_modules matches is ";
  if (excluded && saved) return all + "in exclude_modules or in modules_to_save";
  if (excluded) return all + "in exclude_modules";
  if (saved) return all + "in modules_to_save";
  return "no module of the model is targeted";
}

// Fills match.parameters; returns what is wrong with the rule's entries (PEFT:
// _inject_parameters).
std::vector<std::string> match_parameters(const AdapterConfig& config,
                                          const std::vector<std::string>& parameters,
                                          TargetMatch& match) {
  if (config.target_parameters.empty()) return {};
  RuleMatcher matcher("target_parameters", config.target_parameters);
  std::vector<std::string> problems;
  for (const std::string& name : parameters) {
    if (!matcher.matches(name)) continue;
    const std::size_t dot = name.rfind('.');
    const std::string module = dot == std::string::npos ? "" : name.substr(0, dot);
    const auto is_module = [&](const std::string& path) { return path == module; };
    if (module.empty()) {
      problems.push_back("`" + name +
                         "` in target_parameters belongs to no module but the model itself");
    } else if (std::any_of(match.targeted.begin(), match.targeted.end(), is_module)) {
      problems.push_back(quoted(name).append(" in target_parameters belongs to ") +
                         quoted(module).append(", which target_modules adapts as a whole"));
    } else if (lies_in_any(module, match.saved)) {
      problems.push_back(quoted(name).append(" in target_parameters lies in ") +
                         quoted(module).append(", which modules_to_save trains as a whole"));
    } else {
      match.parameters.push_back(name);
    }
  }
  for (std::string& sentence : matcher.unmatched(parameters)) problems.push_back(sentence);
  return problems;
}

}  // namespace

TargetMatch match_targets(const AdapterConfig& config, const std::vector<std::string>& paths,
                          const std::vector<std::string>& parameters) {
  TargetMatch match;
  Findings findings(config, match.notes);

  const std::vector<std::string> entries = saved_entries(config, paths);
  RuleMatcher saved("modules_to_save", entries.empty() ? ModuleRule() : entries);
  for (const std::string& path : paths) {
    if (saved.matches(path) && !lies_in_any(path, match.saved)) match.saved.push_back(path);
  }
  findings.add("modules_to_save", saved.unmatched(paths));

  const LayerFilter filter(config);
  RuleMatcher targets("target_modules", config.target_modules, &filter);
  RuleMatcher excluded("exclude_modules", config.exclude_modules);
  bool any_excluded = false;
  bool any_saved = false;
  for (const std::string& path : paths) {
    const bool is_excluded = excluded.matches(path);
    if (!targets.matches(path)) continue;
    const bool is_saved = !is_excluded && lies_in_any(path, match.saved);
    any_excluded = any_excluded || is_excluded;
    any_saved = any_saved || is_saved;
    if (!is_excluded && !is_saved) match.targeted.push_back(path);
  }
  const std::vector<std::string> unmatched = targets.unmatched(paths);
  if (config.allow_unmatched && unmatched.size() < targets.size()) {
    findings.add_notes(unmatched);
  } else {
    findings.add("target_modules", unmatched);
  }
  const std::vector<std::string> unused = excluded.unmatched(paths);
  findings.add("exclude_modules", unused);
  const bool has_excluded = excluded.size() != unused.size();
  if (targets.size() == 0) {
    findings.add("target_modules", rules_of_no_targets(config, has_excluded));
  }
  findings.add_notes(idle_rules(config, filter, match.targeted, has_excluded && !any_excluded));
  findings.add("target_parameters", match_parameters(config, parameters, match));
  std::vector<std::string> adapted = match.targeted;
  adapted.insert(adapted.end(), match.parameters.begin(), match.parameters.end());

  if (findings.empty() && adapted.empty()) {
    findings.add_problem(why_nothing(targets.size() != 0, any_excluded, any_saved));
  }
  findings.throw_if_any();
  return match;
}

}  // namespace tenon
