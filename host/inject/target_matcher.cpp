#include "inject/target_matcher.h"

#include <algorithm>
#include <boost/regex.hpp>
#include <set>

#include "base/error.h"
#include "base/suggest.h"

namespace tenon {
namespace {

// Python writes named groups as (?P<name>...), Perl as (?<name>...).
std::string to_perl(std::string pattern) {
  for (std::size_t at = pattern.find("(?P<"); at != std::string::npos;
       at = pattern.find("(?P<", at)) {
    pattern.erase(at + 2, 1);
  }
  return pattern;
}

// A regular expression that names the config key it came from when it fails.
class Pattern {
 public:
  Pattern(const std::string& key, const std::string& pattern) : key_(key), source_(pattern) {
    try {
      regex_ = boost::regex(to_perl(pattern), boost::regex::perl);
    } catch (const boost::regex_error& error) {
      throw Error(
          {.stage = Stage::kInjection,
           .message = key_ + ": `" + source_ + "` is not a regular expression: " + error.what(),
           .hint = "the dialect is Perl's, which agrees with Python's re for what module "
                   "names need"});
    }
  }
  bool full_match(const std::string& path) const {
    return search([&] { return boost::regex_match(path, regex_); });
  }
  // Python's re.match: anchored at the start only.
  std::optional<std::string> prefix_group(const std::string& path) const {
    boost::smatch found;
    const bool matched =
        search([&] { return boost::regex_search(path, found, regex_, boost::match_continuous); });
    if (!matched) return std::nullopt;
    return found[1].str();
  }

 private:
  template <typename Search>
  bool search(Search run) const {
    try {
      return run();
    } catch (const std::runtime_error&) {
      throw Error({.stage = Stage::kInjection,
                   .message = key_ + ": `" + source_ + "` needs too many steps to match",
                   .hint = "nested repetitions such as (a+)+ are the usual cause"});
    }
  }

  std::string key_;
  std::string source_;
  boost::regex regex_;
};

bool is_path_or_suffix(const std::string& path, const std::string& entry) {
  return path == entry || path.ends_with("." + entry);
}

// The last `parts` dotted parts of a path.
std::string suffix_of(const std::string& path, std::ptrdiff_t parts) {
  std::size_t start = path.size();
  for (std::ptrdiff_t i = 0; i < parts && start != 0; ++i) {
    const std::size_t dot = start == path.size() ? path.rfind('.') : path.rfind('.', start - 2);
    start = dot == std::string::npos ? 0 : dot + 1;
  }
  return path.substr(start);
}

// "did you mean `x`?" over full paths and over suffixes with as many parts as the entry.
std::string near_names(const std::string& entry, const std::vector<std::string>& paths) {
  const std::ptrdiff_t parts = std::count(entry.begin(), entry.end(), '.') + 1;
  std::set<std::string> names(paths.begin(), paths.end());
  for (const std::string& path : paths) names.insert(suffix_of(path, parts));
  const std::string hint = did_you_mean(entry, std::vector(names.begin(), names.end()), 5);
  return hint.empty() ? "" : "; " + hint;
}

// layers_to_transform: the index behind the layer list's name (PEFT takes the first index in the
// path, so the layer and not the expert, unless layers_pattern names the list).
class LayerFilter {
 public:
  explicit LayerFilter(const AdapterConfig& config) : wanted_(config.layers_to_transform) {
    if (config.layers_pattern.empty()) {
      patterns_.emplace_back("layers_to_transform", R"(.*?\.[^.]*\.(\d+)\.)");
    }
    for (const std::string& name : config.layers_pattern) {
      patterns_.emplace_back("layers_pattern", "(?:^|.*?\\.)" + name + "\\.(\\d+)\\.");
    }
  }
  bool passes(const std::string& path) const {
    if (wanted_.empty()) return true;
    for (const Pattern& pattern : patterns_) {
      const auto index = pattern.prefix_group(path);
      if (!index) continue;
      if (index->size() > 9) return false;
      return std::find(wanted_.begin(), wanted_.end(), std::stoll(*index)) != wanted_.end();
    }
    return false;
  }

 private:
  std::vector<std::int64_t> wanted_;
  std::vector<Pattern> patterns_;
};

// One ModuleRule made ready, counting for each entry how many modules it took.
class Rule {
 public:
  Rule(std::string key, const ModuleRule& rule) : key_(std::move(key)) {
    if (const auto* regex = std::get_if<Regex>(&rule)) {
      pattern_.emplace(key_, regex->pattern);
      entries_ = {regex->pattern};
    } else if (const auto* list = std::get_if<std::vector<std::string>>(&rule)) {
      entries_ = *list;
    }
    hits_.resize(entries_.size());
  }

  bool matches(const std::string& path, const LayerFilter* filter = nullptr) {
    if (pattern_) {
      const bool hit = pattern_->full_match(path);
      hits_[0] += hit ? 1 : 0;
      return hit;
    }
    bool matched = false;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (!is_path_or_suffix(path, entries_[i])) continue;
      // An entry that is the whole path is meant, whatever layers_to_transform says (PEFT as well).
      if (path != entries_[i] && filter != nullptr && !filter->passes(path)) continue;
      ++hits_[i];
      matched = true;
    }
    return matched;
  }

  std::vector<std::string> unmatched(const std::vector<std::string>& paths) const {
    std::vector<std::string> problems;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (hits_[i] == 0) {
        problems.push_back("`" + entries_[i] + "` in " + key_ + " matches no module" +
                           (pattern_ ? "" : near_names(entries_[i], paths)));
      }
    }
    return problems;
  }

  std::size_t size() const { return entries_.size(); }

 private:
  std::string key_;
  std::optional<Pattern> pattern_;
  std::vector<std::string> entries_;
  std::vector<std::size_t> hits_;
};

bool lies_in(const std::string& path, const std::vector<std::string>& modules) {
  return std::any_of(modules.begin(), modules.end(), [&](const std::string& module) {
    return path == module || path.starts_with(module + ".");
  });
}

template <typename T>
std::optional<T> first_fitting(const std::vector<std::pair<std::string, T>>& patterns,
                               const std::string& path, const char* key) {
  for (const auto& [pattern, value] : patterns) {
    if (Pattern(key, "(?:.*\\.)?(?:" + pattern + ")").full_match(path)) return value;
  }
  return std::nullopt;
}

template <typename T>
void check_patterns_used(const std::vector<std::pair<std::string, T>>& patterns, const char* key,
                         const std::vector<std::string>& targeted,
                         std::vector<std::string>& problems) {
  for (const auto& [pattern, value] : patterns) {
    const Pattern regex(key, "(?:.*\\.)?(?:" + pattern + ")");
    if (std::none_of(targeted.begin(), targeted.end(),
                     [&](const std::string& path) { return regex.full_match(path); })) {
      problems.push_back("`" + pattern + "` in " + key + " matches no targeted module");
    }
  }
}

}  // namespace

TargetMatch match_targets(const AdapterConfig& config, const std::vector<std::string>& paths) {
  TargetMatch match;
  std::vector<std::string> problems;

  Rule saved("modules_to_save",
             config.modules_to_save.empty() ? ModuleRule() : config.modules_to_save);
  for (const std::string& path : paths) {
    if (!lies_in(path, match.saved) && saved.matches(path)) match.saved.push_back(path);
  }
  for (std::string& unmatched : saved.unmatched(paths)) {
    auto& told = config.allow_unmatched_saved && !match.saved.empty() ? match.notes : problems;
    told.push_back(std::move(unmatched));
  }

  Rule targets("target_modules", config.target_modules);
  Rule excluded("exclude_modules", config.exclude_modules);
  const LayerFilter filter(config);
  bool any_excluded = false;
  for (const std::string& path : paths) {
    if (!targets.matches(path, &filter)) {
      continue;
    }
    if (excluded.matches(path)) {
      any_excluded = true;
    } else if (!lies_in(path, match.saved)) {
      match.targeted.push_back(path);
    }
  }
  const std::vector<std::string> unmatched = targets.unmatched(paths);
  if (!unmatched.empty() && unmatched.size() < targets.size() && config.allow_unmatched) {
    match.notes.insert(match.notes.end(), unmatched.begin(), unmatched.end());
  } else {
    problems.insert(problems.end(), unmatched.begin(), unmatched.end());
  }
  for (std::string& problem : excluded.unmatched(paths)) problems.push_back(std::move(problem));
  check_patterns_used(config.rank_pattern, "rank_pattern", match.targeted, problems);
  check_patterns_used(config.alpha_pattern, "alpha_pattern", match.targeted, problems);

  if (problems.empty() && match.targeted.empty()) {
    problems.emplace_back(
        targets.size() == 0 ? "target_modules is missing: it names the layers to adapt"
        : any_excluded      ? "every module that target_modules matches is excluded or saved"
                            : "every module that target_modules matches is in modules_to_save");
  }
  if (problems.empty()) return match;
  throw Error({.stage = Stage::kInjection,
               .message = problems.size() == 1 ? problems.front()
                                               : "the adapter does not fit the model:\n  - " +
                                                     join(problems, "\n  - "),
               .hint = "`tenon tree` lists the model's modules",
               .location = config.location});
}

std::optional<double> pattern_value(const std::vector<std::pair<std::string, double>>& patterns,
                                    const std::string& path) {
  return first_fitting(patterns, path, "alpha_pattern");
}
std::optional<std::int64_t> pattern_value(
    const std::vector<std::pair<std::string, std::int64_t>>& patterns, const std::string& path) {
  return first_fitting(patterns, path, "rank_pattern");
}

}  // namespace tenon
