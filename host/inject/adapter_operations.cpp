// What AdaptedModel does to its adapters after they are made: PEFT's add_adapter, set_adapter,
// delete_adapter, merge_adapter and their kin.
#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/suggest.h"
#include "inject/adapted_model.h"

namespace tenon {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

[[noreturn]] void fail(const std::string& message, const std::string& hint) {
  throw Error({.stage = Stage::kInjection, .message = message, .hint = hint});
}

bool overlap(const std::string& one, const std::string& other) {
  return one == other || one.starts_with(other + ".") || other.starts_with(one + ".");
}

}  // namespace

AdaptedModel::Adapters::iterator AdaptedModel::find_adapter(const std::string& name) {
  return std::ranges::find(adapters_, name, [](const auto& a) { return a->config.name; });
}

AdaptedModel::Adapters::const_iterator AdaptedModel::find_adapter(const std::string& name) const {
  return std::ranges::find(adapters_, name, [](const auto& a) { return a->config.name; });
}

std::vector<std::string> AdaptedModel::adapter_names() const {
  std::vector<std::string> names;
  for (const auto& adapter : adapters_) names.push_back(adapter->config.name);
  return names;
}

const PlacedAdapter& AdaptedModel::adapter(const std::string& name) const {
  require({name});
  return **find_adapter(name);
}

void AdaptedModel::require(const std::vector<std::string>& names) const {
  const std::vector<std::string> known = adapter_names();
  std::vector<std::string> unknown;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!contains(known, names[i])) unknown.push_back(names[i]);
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<std::ptrdiff_t>(i)) {
      fail("the adapter " + names[i] + " is named twice", "name each adapter once");
    }
  }
  if (unknown.empty()) return;
  fail("Adapter " + join(unknown) + " not found",
       known.empty() ? "the model has no adapter" : "the model has: " + join(known));
}

// One module runs with the weights of one adapter (PEFT: ModulesToSaveWrapper.check_set_adapter).
void AdaptedModel::check_saved(const std::vector<std::string>& names) const {
  std::vector<std::pair<std::string, std::string>> savers;  // path, adapter
  for (const std::string& name : names) {
    for (const std::string& path : adapter(name).saved) {
      for (const auto& [other, saver] : savers) {
        if (saver == name || !overlap(path, other)) continue;
        fail("Only one adapter can be set at a time for `" + path + "`: " + saver + " and " + name +
                 " both save it whole",
             "set one of them active at a time, or take the module out of one's modules_to_save");
      }
      savers.emplace_back(path, name);
    }
  }
}

// A method may bound how many of its adapters run at once (tenon_method.max_active).
void AdaptedModel::check_count(const std::vector<std::string>& names) const {
  std::map<const Method*, std::vector<std::string>> by_method;
  for (const std::string& name : names) by_method[adapter(name).method].push_back(name);
  for (const auto& [method, together] : by_method) {
    if (method == nullptr || method->max_active() == 0) continue;
    if (together.size() <= method->max_active()) continue;
    fail("the method " + method->name() + " runs at most " + std::to_string(method->max_active()) +
             " adapter" + (method->max_active() == 1 ? "" : "s") + " at once, not " +
             join(together) + " together",
         "set fewer of them active at a time");
  }
}

// The base has one set of biases to train (PEFT: BaseTuner._check_new_adapter_config).
void AdaptedModel::check_bias(const PlacedAdapter& adapter) const {
  if (adapter.config.bias == "none") return;
  for (const auto& other : adapters_) {
    if (other->config.bias == "none" || other.get() == &adapter) continue;
    fail("only one adapter can have a bias: " + other->config.name + " has bias = \"" +
             other->config.bias + "\" and " + adapter.config.name + " has bias = \"" +
             adapter.config.bias + "\"",
         "when using multiple adapters, set bias to \"none\" for all others");
  }
}

std::vector<LayerChoice> AdaptedModel::choose(const std::vector<std::string>& names) const {
  std::vector<LayerChoice> choices;
  choices.reserve(sites_.size());
  for (const auto& [module, site] : sites_) {
    choices.push_back(enabled_ ? site.layer->choose(names) : site.layer->choose_base());
  }
  return choices;
}

void AdaptedModel::activate(std::vector<LayerChoice> choices) {
  std::size_t i = 0;
  for (auto& [module, site] : sites_) site.layer->activate(std::move(choices[i++]));
}

void AdaptedModel::put(PlacedAdapter& adapter) {
  for (const PlacedSlot& placed : adapter.slots) {
    sites_.at(placed.site.module).layer->put(*placed.slot);
  }
}

void AdaptedModel::take_off(const PlacedAdapter& adapter) {
  for (const PlacedSlot& placed : adapter.slots) {
    sites_.at(placed.site.module).layer->remove(*placed.slot);
  }
}

void AdaptedModel::add_adapter(const InjectionPlan& plan, std::uint64_t seed) {
  add_adapter(place_adapter(model_, plan, seed));
}

void AdaptedModel::add_adapter(std::unique_ptr<PlacedAdapter> adapter) {
  const std::string name = adapter->config.name;
  if (find_adapter(name) != adapters_.end()) {
    fail("Adapter with name '" + name + "' already exists.", "give it another name");
  }
  check_bias(*adapter);
  check_sites(*adapter);
  const bool is_first = adapters_.empty();
  try {
    if (open_sites(*adapter) || program_ == nullptr) build_program();
  } catch (...) {
    close_empty_sites();
    throw;
  }
  put(*adapter);
  adapter->set_requires_grad(is_first);
  adapters_.push_back(std::move(adapter));
  if (is_first) active_ = {name};
  activate(choose(active_));
}

std::unique_ptr<PlacedAdapter> AdaptedModel::swap_adapter(std::unique_ptr<PlacedAdapter> adapter) {
  const std::string name = adapter->config.name;
  require({name});
  if (contains(merged_, name)) {
    fail("the adapter " + name + " is merged, so it cannot be swapped", "unmerge it first");
  }
  check_sites(*adapter);
  std::unique_ptr<PlacedAdapter>& place = *find_adapter(name);
  std::swap(place, adapter);
  try {
    check_bias(*place);
    check_saved(contains(active_, name) ? active_ : std::vector{name});
    check_count(active_);
    if (open_sites(*place)) build_program();
  } catch (...) {
    std::swap(place, adapter);
    throw;
  }
  const bool trains =
      std::ranges::any_of(adapter->tensors, [](const auto& t) { return t.tensor.requires_grad(); });
  place->set_requires_grad(trains);
  place->rescale(adapter->scale);
  take_off(*adapter);
  put(*place);
  activate(choose(active_));
  return adapter;
}

void AdaptedModel::delete_adapter(const std::string& name) {
  const auto place = find_adapter(name);
  if (place == adapters_.end()) {
    fail("Adapter " + name + " does not exist", "the model has: " + join(adapter_names()));
  }
  if (contains(merged_, name)) {
    fail("Cannot delete the adapter " + name + " while it is merged", "unmerge it first");
  }
  take_off(**place);
  adapters_.erase(place);
  close_empty_sites();
  build_program();
  const bool was_active = std::erase(active_, name) > 0;
  std::vector<std::string> rest = adapter_names();
  if (was_active && active_.empty() && !rest.empty()) {
    std::sort(rest.begin(), rest.end());
    log::warning("the adapter " + name + " was active and is deleted; " + rest.front() +
                 " is active now");
    set_active({rest.front()});
    return;
  }
  activate(choose(active_));
}

void AdaptedModel::set_active(const std::vector<std::string>& names, bool trainable) {
  require(names);
  check_saved(names);
  check_count(names);
  if (!merged_.empty()) {
    log::warning("Adapter cannot be set when the model is merged. Unmerging the model first.");
    unmerge();
  }
  activate(choose(names));
  active_ = names;
  for (const auto& adapter : adapters_) {
    adapter->set_requires_grad(trainable && contains(names, adapter->config.name));
  }
}

void AdaptedModel::set_trainable(const std::string& name, bool trainable) {
  require({name});
  (*find_adapter(name))->set_requires_grad(trainable);
}

void AdaptedModel::set_enabled(bool enabled) {
  enabled_ = enabled;
  activate(choose(active_));
}

void AdaptedModel::rescale(const std::string& name, double factor) {
  require({name});
  if (contains(merged_, name)) {
    fail("the adapter " + name + " is merged, so it cannot be rescaled", "unmerge it first");
  }
  PlacedAdapter& adapter = **find_adapter(name);
  if (adapter.method != nullptr && !adapter.method->scales()) {
    fail("the adapter " + name + " cannot be rescaled: adapters of the method " +
             adapter.method->name() + " do not scale",
         "a factor would change nothing; leave it out");
  }
  adapter.rescale(factor);
}

void AdaptedModel::merge(const std::vector<std::string>& names) {
  require(names);
  std::vector<std::string> all = merged_;
  for (const std::string& name : names) {
    if (!contains(all, name)) all.push_back(name);
  }
  if (all.size() == merged_.size()) {
    log::warning("All adapters are already merged, nothing to do.");
    return;
  }
  check_saved(all);
  check_count(all);
  std::vector<std::vector<at::Tensor>> weights;
  for (const auto& [module, site] : sites_) weights.push_back(site.layer->merged_weights(all));
  merge_as_one(all, weights);
  std::size_t i = 0;
  for (auto& [module, site] : sites_) site.layer->set_merged(all, std::move(weights[i++]));
  merged_ = std::move(all);
  activate(choose(active_));
}

void AdaptedModel::unmerge() {
  if (merged_.empty()) {
    log::warning("Already unmerged. Nothing to do.");
    return;
  }
  for (auto& [module, site] : sites_) site.layer->set_merged({}, {});
  merged_.clear();
  activate(choose(active_));
}

}  // namespace tenon
