#include "plugin/method.h"

#include <tenon/draft/factors.h>
#include <tenon/draft/targets.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "plugin/host_table.h"
#include "plugin/key_rules.h"
#include "plugin/plugin_failure.h"
#include "plugin/plugin_registry.h"
#include "plugin/running_plugin.h"
#include "plugin/sized_struct.h"

namespace tenon {

namespace {

DefaultTargets read_targets(const void* extension) {
  DefaultTargets targets;
  const auto* table = static_cast<const tenon_targets*>(extension);
  for (std::uint32_t i = 0; table != nullptr && i < table->n_targets; ++i) {
    const tenon_target& target = table->targets[i];
    const ModuleRule rule =
        target.expression != nullptr
            ? ModuleRule(Regex{target.expression})
            : ModuleRule(std::vector<std::string>(target.names, target.names + target.n_names));
    targets.emplace_back(target.model_type, rule);
  }
  return targets;
}

}  // namespace

Method::Method(const tenon_method& table, const PluginInfo& plugin)
    : self_(&table),
      table_(read_sized(table)),
      plugin_(&plugin),
      keys_(read_declarations(table_.keys, table_.n_keys)) {
  if (table_.extension == nullptr) return;
  const RunningPlugin running(table_.name, "extension");
  training_ = static_cast<const tenon_training*>(table_.extension(self_, TENON_TRAINING));
  data_start_ = static_cast<const tenon_data_start*>(table_.extension(self_, TENON_DATA_START));
  targets_ = read_targets(table_.extension(self_, TENON_TARGETS));
  rules_ = static_cast<const tenon_keys_rules*>(table_.extension(self_, TENON_KEYS));
  const void* factors = table_.extension(self_, TENON_FACTORS);
  if (factors != nullptr) factors_.emplace(*static_cast<const tenon_factors*>(factors));
}

OptionTable Method::settled(const OptionTable& given, bool saved,
                            std::vector<OptionProblem>& problems) const {
  OptionTable values = given;
  for (const DeclaredOption& key : keys_) {
    if (saved && key.of_start) values.erase(key.key);
    if (saved || !key.unused || !values.contains(key.key)) continue;
    if (same_option(values.at(key.key), key.initial)) continue;
    problems.push_back({key.key, "has no effect; leave it out"});
  }
  values = complete_options(keys_, values, problems);
  if (rules_ == nullptr) return values;
  const tenon_setup setup{values, {}, {}};
  tenon_keys settling{&keys_};
  tenon_error error;
  const RunningPlugin running(table_.name, "settle");
  if (rules_->settle(self_, &host_table(), &setup, &settling, saved ? 1 : 0, &error) != TENON_OK) {
    fail("settle", error);
  }
  problems.insert(problems.end(), settling.problems.begin(), settling.problems.end());
  for (auto& [key, value] : settling.replaced) values.insert_or_assign(key, std::move(value));
  return values;
}

void Method::fail(const std::string& function, const tenon_error& error) const {
  throw Error({.stage = Stage::kPlugins,
               .message = error.text.empty() ? "plugin bug: " + name() + ": " + function +
                                                   " failed without a message"
                                             : error.text,
               .hint = "the method comes from plugin " + plugin_->id + " " + plugin_->version});
}

tenon_data_needs Method::data_needs(const OptionTable& keys) const {
  if (data_start_ == nullptr) return 0;
  const tenon_setup setup{keys, {}, {}};
  tenon_error error;
  tenon_data_needs needs = 0;
  const RunningPlugin running(table_.name, "data_needs");
  if (data_start_->needs(self_, &host_table(), &setup, &needs, &error) != TENON_OK) {
    fail("data_needs", error);
  }
  return needs;
}

std::string Method::peft_type() const { return peft_type_of(table_.name, table_.peft_type); }

double Method::scaling(const LayerFacts& base, const tenon_setup& setup) const {
  if (table_.scaling == nullptr) return 1;
  const PluginCall call{Stage::kInjection, base, *plugin_, "scaling"};
  const RunningPlugin running(table_.name, "scaling");
  tenon_error error;
  double scaling = 1;
  if (table_.scaling(self_, &host_table(), &base, &setup, &scaling, &error) != TENON_OK) {
    throw_failure(call, error);
  }
  if (!std::isfinite(scaling)) {
    throw_bug(call, "the scaling of method " + name() + " is " + std::to_string(scaling));
  }
  return scaling;
}

MethodTable::MethodTable(std::list<PluginInfo>& plugins, Loader load) : load_(std::move(load)) {
  for (PluginInfo& plugin : plugins) {
    for (const OfferedMethod& method : plugin.offer.methods) {
      const auto known = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& other) {
        return other.name == method.name;
      });
      if (known == entries_.end()) {
        entries_.push_back({method.name, method.peft_type, &plugin});
        continue;
      }
      const PluginInfo& winner = *known->plugin;
      const std::string both = "method " + method.name + " comes from " + winner.path.string();
      if (winner.place == plugin.place) {
        // Told only to whom it concerns: another method must not stop a run.
        known->tie = both + " and from " + plugin.path.string() +
                     ", which lie in one place; take one of them out of " +
                     plugin.path.parent_path().string();
        continue;
      }
      log::info(both + " in place of " + plugin.path.string());
    }
  }
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
}

std::vector<std::string> MethodTable::ties() const {
  std::vector<std::string> all;
  for (const Entry& entry : entries_) {
    if (!entry.tie.empty()) all.push_back(entry.tie);
  }
  return all;
}

const Method* MethodTable::loaded(const Entry& entry) const {
  if (!entry.tie.empty()) throw Error({.stage = Stage::kPlugins, .message = entry.tie});
  if (!load_(*entry.plugin)) return nullptr;
  for (const Method& method : entry.plugin->methods) {
    if (method.name() == entry.name) return &method;
  }
  return nullptr;
}

const Method* MethodTable::find(const std::string& name) const {
  for (const Entry& entry : entries_) {
    if (entry.name == name) return loaded(entry);
  }
  return nullptr;
}

const Method* MethodTable::find_peft_type(const std::string& peft_type) const {
  for (const Entry& entry : entries_) {
    if (entry.peft_type == peft_type) return loaded(entry);
  }
  return nullptr;
}

const Method* MethodTable::find_general() const {
  for (const Entry& entry : entries_) {
    const Method* method = entry.tie.empty() ? loaded(entry) : nullptr;
    if (method != nullptr && method->factors() != nullptr && method->factors()->are_general()) {
      return method;
    }
  }
  return nullptr;
}

const Method* MethodTable::of(const AdapterConfig& config) const {
  return config.method.empty() ? find_peft_type(config.peft_type) : find(config.method);
}

std::vector<std::string> MethodTable::names() const {
  std::vector<std::string> names;
  for (const Entry& entry : entries_) names.push_back(entry.name);
  return names;
}

}  // namespace tenon
