#include "plugin/plugin_dispatch.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"

namespace tenon {
namespace {

using Candidate = PluginDispatch::Candidate;

// Of what serves a type, the first that names it exactly, else the first that names its class.
template <typename T>
class BestFit {
 public:
  explicit BestFit(const std::string& type) : type_(type) {}

  void offer(const std::string& served, const T& candidate) {
    const T*& best = served == type_ ? exact_ : by_class_;
    if (best == nullptr && serves(served, type_)) best = &candidate;
  }
  const T* found() const { return exact_ != nullptr ? exact_ : by_class_; }

 private:
  const std::string& type_;
  const T* exact_ = nullptr;
  const T* by_class_ = nullptr;
};

std::string id_and_path(const Candidate& candidate) {
  return candidate.id + " (" + candidate.plugin->path.string() + ")";
}

// The key of a line of [plugins.prefer].
std::string preference_key(const std::string& method, const std::string& type) {
  return method + ":" + type;
}

// How a config tells the two apart: by the layer type's id, else by the plugin's.
std::string settling_line(const PluginDispatch::Entry& entry) {
  const Candidate& winner = entry.candidates[0];
  const Candidate& other = entry.candidates[1];
  const std::string name = winner.id != other.id                   ? winner.id
                           : winner.plugin->id != other.plugin->id ? winner.plugin->id
                                                                   : "";
  if (name.empty()) return "take one of the two files out of its folder";
  return "settle it with\n    [plugins.prefer]\n    \"" + preference_key(entry.method, entry.type) +
         "\" = \"" + name + "\"";
}

std::string describe_tie(const PluginDispatch::Entry& entry) {
  return id_and_path(entry.candidates[0]) + " and " + id_and_path(entry.candidates[1]) +
         " both serve " + entry.method + " on " + entry.type + "; " + settling_line(entry);
}

std::string describe_shadowing(const PluginDispatch::Entry& entry, const Candidate& hidden) {
  return id_and_path(entry.candidates[0]) + " serves " + entry.method + " on " + entry.type +
         " in place of " + id_and_path(hidden);
}

std::string describe_unused_preference(const std::string& key, const std::string& id) {
  return "[plugins.prefer] \"" + key + "\" = \"" + id +
         "\" names no layer type that was found for it";
}

}  // namespace

bool serves(const std::string& pattern, const std::string& type) {
  if (pattern == type) return true;
  if (!pattern.starts_with("*.")) return false;
  const std::string suffix = pattern.substr(1);  // ".MyScale"
  return type.ends_with(suffix) || type == suffix.substr(1);
}

const LayerType* PluginInfo::find(const std::string& method, const std::string& type) const {
  BestFit<LayerType> best(type);
  for (const LayerType& layer_type : layer_types) {
    if (layer_type.method() != method) continue;
    for (const std::string& served : layer_type.base_types()) best.offer(served, layer_type);
  }
  return best.found();
}

PluginDispatch::PluginDispatch(std::list<PluginInfo>& plugins,
                               const std::map<std::string, std::string>& prefer) {
  std::map<std::pair<std::string, std::string>, std::vector<Candidate>> served;
  for (PluginInfo& plugin : plugins) {
    for (const OfferedLayerType& offered : plugin.offer.layer_types) {
      for (const std::string& type : offered.base_types) {
        served[{offered.method, type}].push_back({&plugin, offered.id, offered.priority});
      }
    }
  }
  std::vector<std::string> problems;
  std::set<std::string> used_preferences;
  for (auto& [key, candidates] : served) {
    Entry entry{key.first, key.second, std::move(candidates), false};
    const auto preferred = prefer.find(preference_key(entry.method, entry.type));
    const auto is_wanted = [&](const Candidate& candidate) {
      return preferred != prefer.end() &&
             (preferred->second == candidate.id || preferred->second == candidate.plugin->id);
    };
    const auto rank = [&](const Candidate& candidate) {
      return std::tuple(!is_wanted(candidate), candidate.plugin->place, -candidate.priority);
    };
    std::stable_sort(entry.candidates.begin(), entry.candidates.end(),
                     [&](const Candidate& a, const Candidate& b) { return rank(a) < rank(b); });
    entry.preferred = is_wanted(entry.candidates[0]);
    if (entry.preferred) used_preferences.insert(preferred->first);
    // Told only to whom it concerns: another layer's plugin must not stop a run.
    if (entry.candidates.size() > 1 && rank(entry.candidates[1]) == rank(entry.candidates[0])) {
      entry.tie = describe_tie(entry);
    }
    for (std::size_t i = entry.tie.empty() ? 1 : 2; i < entry.candidates.size(); ++i) {
      const Candidate& hidden = entry.candidates[i];
      log::info(describe_shadowing(entry, hidden));
      shadowed_.push_back({entry.method, entry.type, hidden.id, hidden.plugin->path,
                           entry.candidates[0].id, entry.candidates[0].plugin->path});
    }
    entries_.push_back(std::move(entry));
  }
  for (const auto& [key, id] : prefer) {
    if (!used_preferences.contains(key)) problems.push_back(describe_unused_preference(key, id));
  }
  if (problems.empty()) return;
  throw Error({.stage = Stage::kPlugins, .message = join(problems, "\n")});
}

const Candidate* PluginDispatch::Entry::winner() const {
  const auto found = std::find_if(candidates.begin(), candidates.end(),
                                  [](const Candidate& each) { return !each.plugin->is_refused; });
  return found == candidates.end() ? nullptr : &*found;
}

const PluginDispatch::Entry* PluginDispatch::find(const std::string& method,
                                                  const std::string& type) const {
  BestFit<Entry> best(type);
  for (const Entry& candidate : entries_) {
    if (candidate.method == method && candidate.winner() != nullptr) {
      best.offer(candidate.type, candidate);
    }
  }
  const Entry* found = best.found();
  if (found != nullptr && !found->tie.empty()) {
    throw Error({.stage = Stage::kPlugins, .message = found->tie});
  }
  return found;
}

std::vector<std::string> PluginDispatch::ties() const {
  std::vector<std::string> all;
  for (const Entry& entry : entries_) {
    if (!entry.tie.empty()) all.push_back(entry.tie);
  }
  return all;
}

std::vector<std::string> PluginDispatch::supported_types(const std::string& method) const {
  std::set<std::string> types;
  for (const Entry& entry : entries_) {
    if (entry.method == method && entry.winner() != nullptr) types.insert(entry.type);
  }
  return {types.begin(), types.end()};
}

}  // namespace tenon
