#include "targets/rule_matcher.h"

#include <algorithm>

#include "base/suggest.h"

namespace tenon {
namespace {

// What follows each dot of a path, the whole path first.
template <class Visit>
void for_each_suffix(const std::string& path, Visit visit) {
  for (std::size_t at = 0; at != std::string::npos;) {
    visit(path.substr(at), at == 0);
    const std::size_t dot = path.find('.', at);
    at = dot == std::string::npos ? dot : dot + 1;
  }
}

std::ptrdiff_t parts_of(const std::string& name) {
  return std::count(name.begin(), name.end(), '.') + 1;
}

// "; did you mean `x`?" over full paths and over suffixes with as many parts as the entry.
std::string near_names(const std::string& entry, const std::vector<std::string>& paths) {
  std::set<std::string> names(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    for_each_suffix(path, [&](const std::string& suffix, bool) {
      if (parts_of(suffix) == parts_of(entry)) names.insert(suffix);
    });
  }
  const std::string hint = did_you_mean(entry, std::vector(names.begin(), names.end()), 5);
  return hint.empty() ? "" : "; " + hint;
}

std::string list_text(const std::set<std::int64_t>& numbers) {
  std::vector<std::string> words;
  for (const std::int64_t number : numbers) words.push_back(std::to_string(number));
  constexpr std::size_t kMost = 12;
  if (words.size() > kMost) {
    words.resize(kMost);
    words.emplace_back("...");
  }
  return join(words);
}

}  // namespace

LayerFilter::LayerFilter(const AdapterConfig& config)
    : wanted_(config.layers_to_transform.begin(), config.layers_to_transform.end()) {
  // PEFT's own expressions, since a layers_pattern is spliced in as it is.
  if (config.layers_pattern.empty()) {
    patterns_.emplace_back("layers_to_transform", R"(.*?\.[^.]*\.(?P<idx>\d+)\.)");
  }
  for (const std::string& name : config.layers_pattern) {
    patterns_.emplace_back("layers_pattern", "(?:^|.*?\\.)" + name + "\\.(?P<idx>\\d+)\\.");
  }
}

std::optional<std::int64_t> LayerFilter::layer_of(const std::string& path) const {
  for (const PythonRegex& pattern : patterns_) {
    const auto layer = pattern.group_at_start(path, "idx");
    if (!layer) continue;
    constexpr std::size_t kMostDigits = 18;
    return layer->size() > kMostDigits ? std::nullopt : std::optional(std::stoll(*layer));
  }
  return std::nullopt;
}

RuleMatcher::RuleMatcher(std::string key, const ModuleRule& rule, const LayerFilter* filter)
    : key_(std::move(key)), filter_(filter != nullptr && filter->is_on() ? filter : nullptr) {
  if (const auto* regex = std::get_if<Regex>(&rule)) {
    regex_.emplace(key_, regex->pattern);
    entries_.push_back({.text = regex->pattern, .unwanted_layers = {}});
  } else if (const auto* names = std::get_if<std::vector<std::string>>(&rule)) {
    for (const std::string& name : *names) {
      if (!index_.emplace(name, entries_.size()).second) continue;
      entries_.push_back({.text = name, .unwanted_layers = {}});
    }
  }
}

// An entry that is the whole path is meant, whatever layers_to_transform says (PEFT as well).
bool RuleMatcher::take(Entry& entry, const std::string& path, bool whole) const {
  if (!whole && filter_ != nullptr) {
    const auto layer = filter_->layer_of(path);
    if (!layer) ++entry.without_layer;
    if (layer && !filter_->wants(*layer)) entry.unwanted_layers.insert(*layer);
    if (!layer || !filter_->wants(*layer)) return false;
  }
  ++entry.hits;
  return true;
}

bool RuleMatcher::matches(const std::string& path) {
  if (regex_) {
    const bool hit = regex_->full_match(path);
    entries_.front().hits += hit ? 1 : 0;
    return hit;
  }
  bool matched = false;
  for_each_suffix(path, [&](const std::string& suffix, bool whole) {
    const auto found = index_.find(suffix);
    if (found != index_.end()) matched = take(entries_[found->second], path, whole) || matched;
  });
  return matched;
}

std::string RuleMatcher::explain(const Entry& entry, const std::vector<std::string>& paths) const {
  if (regex_) {
    RuleMatcher as_name("", std::vector<std::string>{entry.text});
    const auto hits = std::count_if(paths.begin(), paths.end(),
                                    [&](const std::string& path) { return as_name.matches(path); });
    return hits == 0 ? ""
                     : "; a string is a regular expression over the whole path, in a list, [\"" +
                           entry.text + "\"], it would match " + std::to_string(hits);
  }
  if (!entry.unwanted_layers.empty()) {
    return " that layers_to_transform wants; what it names is in layers " +
           list_text(entry.unwanted_layers);
  }
  if (entry.without_layer != 0) {
    return " that layers_to_transform wants; what it names has no layer's number in its path, "
           "behind the name of a list that itself lies in a module or is in layers_pattern";
  }
  if (entry.text.find_first_of("*+?|()[]\\^$") != std::string::npos) {
    return "; a list holds plain names, a regular expression is a string";
  }
  return near_names(entry.text, paths);
}

std::vector<std::string> RuleMatcher::unmatched(const std::vector<std::string>& paths) const {
  std::vector<std::string> problems;
  for (const Entry& entry : entries_) {
    if (entry.hits != 0) continue;
    const char* const kind = key_ == "target_parameters" ? "parameter" : "module";
    problems.push_back("`" + entry.text + "` in " + key_ + " matches no " + kind +
                       explain(entry, paths));
  }
  return problems;
}

}  // namespace tenon
